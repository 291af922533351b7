import assert from 'node:assert/strict'
import { connect } from 'node:net'
import test from 'node:test'

import { ADMIN } from '../../../gateway/callers/caller.ts'
import { Admission } from '../../../gateway/limits/admission.ts'
import { CHAT, KEY, startGateway } from '../../support/gateway.ts'
import { callerWith } from '../../support/limits.ts'
import { answerWith, delta, started, stuck } from '../../support/scripted-runtime.ts'
import { until } from '../../support/until.ts'
import type { Limits as CallerLimits } from '../../../gateway/callers/caller.ts'
import type { GatewayOptions } from '../../support/gateway.ts'
import type { TestContext } from 'node:test'

async function startLimited(
  t: TestContext,
  limits: CallerLimits,
  { cacheSeconds = null, deps }: GatewayOptions & { cacheSeconds?: number | null } = {},
) {
  const gateway = await startGateway(t, { deps })
  for (const hash of gateway.keys.rows.keys()) {
    gateway.keys.rows.set(hash, { ...callerWith(limits), cacheSeconds })
  }
  const ask = (body: object = {}, headers: Record<string, string> = {}) =>
    gateway.post(
      '/v1/chat/completions',
      { ...CHAT, max_tokens: 20, ...body },
      {
        headers: {
          'content-type': 'application/json',
          authorization: `Bearer ${KEY}`,
          ...headers,
        },
      },
    )
  return { ...gateway, ask }
}

test('a caller sees what is left of its limits, and 429 with when to come back beyond them', async (t) => {
  const { ask, log } = await startLimited(t, { requestsPerMinute: 1, tokensPerMinute: 1_000 })
  const first = await ask()
  assert.equal(first.status, 200)
  assert.equal(first.headers.get('x-ratelimit-limit-requests'), '1')
  assert.equal(first.headers.get('x-ratelimit-remaining-requests'), '0')
  assert.equal(first.headers.get('x-ratelimit-limit-tokens'), '1000')
  await first.text()
  const second = await ask()
  assert.equal(second.status, 429)
  assert.match(second.headers.get('retry-after') ?? '', /^(59|60|61)$/)
  assert.equal(second.headers.get('x-ratelimit-remaining-requests'), '0')
  const { error } = (await second.json()) as { error: Record<string, unknown> }
  assert.deepEqual([error['code'], error['type']], ['rate_limit_exceeded', 'requests'])
  const rows = await log.first(2)
  assert.deepEqual(
    rows.map(({ outcome, errorCode }) => [outcome, errorCode]),
    [
      ['completed', null],
      ['refused', 'rate_limit_exceeded'],
    ],
  )
})

test('streams say what is left too, and what they did not use is given back when they close', async (t) => {
  const { ask, log } = await startLimited(t, { tokensPerMinute: 60, concurrentRequests: 1 })
  for (let i = 1; i <= 2; i++) {
    const answer = await ask({ stream: true })
    assert.equal(answer.status, 200)
    assert.ok(Number(answer.headers.get('x-ratelimit-remaining-tokens')) >= 0)
    assert.match(await answer.text(), /\[DONE\]/)
    await log.first(i)
  }
})

test('a client that leaves makes room for the next request, and is charged for what it got', async (t) => {
  const { ask, client, runtime, log } = await startLimited(t, {
    concurrentRequests: 1,
    tokensPerMinute: 1_000,
  })
  runtime.script = async function* (_request, signal) {
    yield started()
    yield delta('One')
    await stuck(signal)
  }
  const stream = await client.chat.completions.create({ ...CHAT, stream: true })
  assert.equal((await ask()).status, 429)
  for await (const chunk of stream) if (chunk.choices[0]?.delta.content) break
  await log.first(2)
  runtime.script = () => answerWith(['Hello'])
  const next = await ask()
  assert.equal(next.status, 200)
  // Seven tokens of its prompt and one of its answer; then five (estimated) and twenty are reserved.
  assert.equal(next.headers.get('x-ratelimit-remaining-tokens'), String(1_000 - 8 - 25))
})

test('an equal question is answered from the cache: it is a request, and costs nothing else', async (t) => {
  const { ask, log, metrics } = await startLimited(
    t,
    // The one that is answered anew needs 25 tokens beside the first's eight.
    { requestsPerMinute: 6, tokensPerMinute: 40, dailyTokens: 40 },
    { cacheSeconds: 60 },
  )
  const first = await ask()
  assert.equal(first.headers.get('x-headrace-cache'), 'miss')
  const told = (await first.json()) as { choices: unknown; usage: unknown }
  for (let i = 0; i < 3; i++) {
    const again = await ask()
    assert.equal(again.headers.get('x-headrace-cache'), 'hit')
    assert.equal(again.headers.get('x-headrace-version'), 'guide@2')
    assert.equal(again.headers.get('x-ratelimit-remaining-requests'), String(4 - i))
    assert.equal(again.headers.get('x-ratelimit-remaining-tokens'), null)
    const body = (await again.json()) as { choices: unknown; usage: unknown }
    assert.deepEqual([body.choices, body.usage], [told.choices, told.usage])
  }
  const streamed = await ask({ stream: true })
  assert.equal(streamed.headers.get('x-headrace-cache'), 'hit')
  assert.match(await streamed.text(), /\[DONE\]/)
  const anew = await ask({}, { 'x-headrace-cache': 'no-cache' })
  assert.equal(anew.headers.get('x-headrace-cache'), 'bypass')
  await anew.text()
  const refused = await ask()
  assert.equal(refused.status, 429)
  assert.match(await refused.text(), /"rate_limit_exceeded"/)
  const rows = await log.first(7)
  assert.deepEqual(
    rows.map(({ cache }) => cache),
    ['miss', 'hit', 'hit', 'hit', 'hit', null, 'hit'],
  )
  assert.ok(rows.slice(1, 5).every(({ costUsd }) => !costUsd))
  const text = await metrics.render()
  assert.match(text, /^headrace_response_cache_hits_total 5$/m)
})

test('a gateway that has its hands full refuses at once, with 503 and when to come back', async (t) => {
  const admission = new Admission(1)
  const { ask } = await startLimited(t, {}, { deps: { admission } })
  const leave = admission.enter()
  const refused = await ask()
  assert.equal(refused.status, 503)
  assert.equal(refused.headers.get('retry-after'), '1')
  assert.match(await refused.text(), /"code":"overloaded"/)
  leave()
  const answer = await ask()
  assert.equal(answer.status, 200)
  await answer.text()
  await until(() => admission.inHand === 0)
})

test('a caller that never ends its bodies does not keep others out', async (t) => {
  const admission = new Admission(4)
  const { keys, port, post, ask } = await startLimited(t, {}, { deps: { admission } })
  keys.add('hr_slow', { ...ADMIN, id: 'slow', name: 'slow', role: 'caller' })
  const head = 'POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\nauthorization: Bearer hr_slow\r\n'
  const sockets = Array.from({ length: 4 }, () => connect(port, '127.0.0.1'))
  t.after(() => sockets.forEach((socket) => socket.destroy()))
  let told = ''
  for (const socket of sockets) {
    socket.on('data', (bytes: Buffer) => (told += bytes.toString()))
    socket.write(`${head}content-type: application/json\r\ncontent-length: 99\r\n\r\n{"mod`)
  }
  await until(() => told.split('503 Service Unavailable').length === 3)
  assert.match(told, /2 requests of this caller are on their way here and not whole yet/)
  assert.equal((await ask()).status, 200)
  for (const socket of sockets) socket.destroy()
  await until(() => admission.inHand === 0)
  const headers = { 'content-type': 'application/json', authorization: 'Bearer hr_slow' }
  for (let i = 0; i < 4; i++) {
    const response = await post('/v1/chat/completions', CHAT, { headers })
    assert.equal(response.status, 200)
    await response.text()
  }
})
