// What an answer's headers, an error's and the metrics say about who was asked.

import assert from 'node:assert/strict'
import { Writable } from 'node:stream'
import { test } from 'node:test'
import type { TestContext } from 'node:test'

import { pino } from 'pino'

import { startDeclaredGateway } from '../../support/declared-gateway.ts'
import { CHAT } from '../../support/gateway.ts'
import { answerChat } from '../../support/openai-wire.ts'
import { refuseWith, ScriptedUpstream } from '../../support/scripted-upstream.ts'
import type { Declaration } from '../../../gateway/declared/schema.ts'
import type { GatewayOptions } from '../../support/gateway.ts'

async function start(t: TestContext, asks: string, deps: GatewayOptions['deps'] = {}) {
  const upstream = await ScriptedUpstream.start(t)
  upstream.script = answerChat(['Hello'])
  const declaration: Declaration = {
    upstreams: { there: { api: 'compatible', base_url: `${upstream.url}/v1` } },
    models: { [CHAT.model]: { targets: [{ upstream: 'there', model: asks }], retries: 0 } },
  }
  return { ...(await startDeclaredGateway(t, declaration, { deps })), upstream }
}

const EMBEDDINGS = { object: 'list', data: [{ index: 0, embedding: [0.5] }], model: 'm', usage: {} }

test('a model may have a name in any script, which headers tell as an address would', async (t) => {
  const { post, upstream, log } = await start(t, 'модель 7b-é\n🙂')
  const bodies: [path: string, body: object][] = [
    ['/v1/chat/completions', CHAT],
    ['/v1/chat/completions', { ...CHAT, stream: true }],
    ['/v1/embeddings', { model: CHAT.model, input: 'Hi' }],
    ['/v1/moderations', { model: CHAT.model, input: 'Hi' }],
  ]
  for (const [path, body] of bodies) {
    if (path !== '/v1/chat/completions') upstream.next.push((x) => x.json(200, EMBEDDINGS))
    const response = await post(path, body)
    assert.equal(response.status, 200, path)
    const version = response.headers.get('x-headrace-version') ?? ''
    assert.match(version, /^[!-~ ]+$/)
    assert.equal(decodeURIComponent(version), 'модель 7b-é\n🙂@there')
    await response.text()
  }
  upstream.next.push(refuseWith(500))
  const failed = await post('/v1/chat/completions', CHAT)
  assert.equal(failed.status, 502)
  assert.equal((await log.first(5)).at(-1)?.version, 'модель 7b-é\n🙂@there')
})

test('an error says in its headers and in the log who was asked last', async (t) => {
  let logged = ''
  const logger = pino(
    new Writable({
      write(line: Buffer, _encoding, done) {
        logged += line.toString()
        done()
      },
    }),
  )
  const { post, upstream } = await start(t, 'm', { logger })
  upstream.next.push(refuseWith(500))
  const { headers } = await post('/v1/chat/completions', CHAT)
  assert.deepEqual(
    ['version', 'target', 'attempts'].map((name) => headers.get(`x-headrace-${name}`)),
    ['m@there', 'there', '1'],
  )
  const line = logged.split('\n').find((each) => each.includes('upstream_error')) ?? ''
  const { version, upstream: name, err } = JSON.parse(line) as Record<string, unknown>
  assert.deepEqual([version, name, typeof err], ['m@there', 'there', 'object'])
})

test('attempts are counted whatever was asked', async (t) => {
  const { post, upstream, url } = await start(t, 'm')
  upstream.script = (x) => x.json(200, EMBEDDINGS)
  await (await post('/v1/embeddings', { model: CHAT.model, input: 'Hi' })).text()
  await (await post('/v1/moderations', { model: CHAT.model, input: 'Hi' })).text()
  upstream.script = refuseWith(500)
  await (await post('/v1/embeddings', { model: CHAT.model, input: 'Hi' })).text()
  const scraped = await (await fetch(`${url}/metrics`)).text()
  const counted = (result: string) =>
    new RegExp(
      `headrace_attempts_total\\{version="m@there",upstream="there",result="${result}"\\} (\\d+)`,
    ).exec(scraped)?.[1]
  assert.deepEqual([counted('answered'), counted('upstream_error')], ['2', '1'])
})
