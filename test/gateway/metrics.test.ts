// What Prometheus reads.

import assert from 'node:assert/strict'
import { test } from 'node:test'

import { ADMIN_KEY, CHAT, startGateway } from '../support/gateway.ts'
import { samples } from '../support/metrics.ts'
import { delta, started, stuck } from '../support/scripted-runtime.ts'

test('an exchange is counted once, with model, version and outcome', async (t) => {
  const { url, client, log } = await startGateway(t)
  await client.chat.completions.create({ ...CHAT, n: 2 })
  await log.onlyRecord()
  const text = await (await fetch(`${url}/metrics`)).text()

  const labels = 'model="guide",version="guide@2"'
  const route = `route="/v1/chat/completions",${labels}`
  assert.deepEqual(
    [...samples(text, 'headrace_requests_total')],
    [
      [`{${route},outcome="failed",status="502"}`, 0],
      [`{${route},outcome="completed",status="200"}`, 1],
    ],
  )
  for (const [name, count] of [
    ['headrace_time_to_first_token_seconds', 1],
    ['headrace_queue_seconds', 1],
    ['headrace_prefill_seconds', 1],
    ['headrace_decode_seconds', 1],
    ['headrace_request_duration_seconds', 1],
    ['headrace_inter_token_seconds', 8],
  ] as const) {
    assert.equal(samples(text, `${name}_count`).get(`{${labels}}`), count, name)
  }
  const duration = samples(text, 'headrace_request_duration_seconds_count')
  assert.equal(duration.get(`{${labels}}`), 1)
  const tokens = samples(text, 'headrace_tokens_total')
  assert.equal(tokens.get(`{${labels},direction="prompt"}`), 7)
  assert.equal(tokens.get(`{${labels},direction="cached"}`), 2)
  assert.equal(tokens.get(`{${labels},direction="completion"}`), 10)
})

test('engines, log, keys, event loop and build are on the page', async (t) => {
  const { url, runtime, client } = await startGateway(t)
  await client.chat.completions.create(CHAT)
  runtime.engine = { running: 3, restarts: 2 }
  const text = await (await fetch(`${url}/metrics`)).text()
  assert.equal(samples(text, 'headrace_runtime_up').get(''), 1)
  const engine = '{model="guide",version="guide@2"}'
  assert.equal(samples(text, 'headrace_engine_running').get(engine), 3)
  assert.equal(samples(text, 'headrace_engine_restarts_total').get(engine), 2)
  assert.equal(samples(text, 'headrace_engine_kv_tokens_capacity').get(engine), 16384)
  assert.equal(samples(text, 'headrace_exchange_log_pending').get(''), 4)
  assert.equal(samples(text, 'headrace_exchange_log_lag_seconds').get(''), 2.5)
  assert.equal(samples(text, 'headrace_exchange_log_dropped_total').get(''), 1)
  assert.equal(samples(text, 'headrace_key_lookups_total').get('{result="found"}'), 1)
  const loopDelay = samples(text, 'headrace_event_loop_delay_p99_seconds').get('')
  assert.ok(loopDelay !== undefined && loopDelay >= 0)
  assert.match(text, /headrace_build_info\{release="0.0.0-test",node="v/)
  assert.match(text, /^process_resident_memory_bytes /m)
})

test('an engine that is gone is gone from the page', async (t) => {
  const { url, runtime } = await startGateway(t)
  await (await fetch(`${url}/metrics`)).text()
  await runtime.unload('guide@1')
  const text = await (await fetch(`${url}/metrics`)).text()
  assert.deepEqual(
    [...samples(text, 'headrace_engine_up')],
    [['{model="guide",version="guide@2"}', 1]],
  )
})

test('a runtime that does not answer is a metric, not a failed scrape', async (t) => {
  const { url, runtime } = await startGateway(t)
  runtime.statsFailure = new Error('connection refused')
  const response = await fetch(`${url}/metrics`)
  assert.equal(response.status, 200)
  const text = await response.text()
  assert.equal(samples(text, 'headrace_runtime_up').get(''), 0)
  assert.equal(samples(text, 'headrace_engine_up').size, 0)
})

test('what a client made up never becomes a label', async (t) => {
  const { url, post, log } = await startGateway(t)
  await post('/v1/chat/completions', { ...CHAT, model: 'made-up-model' })
  await post('/v1/chat/completions', { ...CHAT, 'made-up-parameter': 1 })
  await post('/v1/made-up-path', {})
  await log.first(2)
  const text = await (await fetch(`${url}/metrics`)).text()
  assert.doesNotMatch(text, /made-up/)
  assert.equal(
    samples(text, 'headrace_errors_total').get(
      '{code="model_not_found",outcome="refused",model="",version=""}',
    ),
    1,
  )
})

test('requests in flight are counted while they run', async (t) => {
  const { url, client, runtime, log } = await startGateway(t)
  runtime.script = async function* (_request, signal) {
    yield started()
    yield delta('One')
    await stuck(signal)
  }
  const inFlight = async () =>
    samples(await (await fetch(`${url}/metrics`)).text(), 'headrace_requests_in_flight').get('')
  const stream = await client.chat.completions.create({ ...CHAT, stream: true })
  assert.equal(await inFlight(), 1)
  stream.controller.abort()
  await log.onlyRecord()
  assert.equal(await inFlight(), 0)
})

test('bound to other addresses than loopback, metrics need their token', async (t) => {
  const { url } = await startGateway(t, { settings: { metricsToken: 'let-me-see' } })
  assert.equal((await fetch(`${url}/metrics`)).status, 401)
  const wrong = { headers: { authorization: 'Bearer let-me-se' } }
  assert.equal((await fetch(`${url}/metrics`, wrong)).status, 401)
  for (const token of ['let-me-see', ADMIN_KEY]) {
    const right = { headers: { authorization: `Bearer ${token}` } }
    assert.equal((await fetch(`${url}/metrics`, right)).status, 200)
  }
})
