// A planted secret, looked for everywhere: answers, rows and the log, whatever goes wrong.

import assert from 'node:assert/strict'
import { Writable } from 'node:stream'
import { test } from 'node:test'

import { pino } from 'pino'

import { KEY } from '../../support/gateway.ts'
import { chunk } from '../../support/openai-wire.ts'
import { refuseWith } from '../../support/scripted-upstream.ts'
import { FAR_MODEL, startUpstreamGateway, UPSTREAM_KEY } from '../../support/upstream-gateway.ts'
import type { Script } from '../../support/scripted-upstream.ts'

const said = { message: `Incorrect API key provided: ${UPSTREAM_KEY} (from ${KEY}).` }
const REFUSALS: Script[] = [
  ...[400, 401, 403, 404, 422, 429, 500, 503, 529].map((status) => refuseWith(status, {}, said)),
  (x) => x.send(502, `<html>${UPSTREAM_KEY}`),
  (x) => x.raw(`HTTP/1.1 ${UPSTREAM_KEY}\r\n\r\n`),
  (x) => x.raw(`HTTP/1.1 200 OK\r\nx: ${UPSTREAM_KEY}\r\ncontent-length: no\r\n\r\n`),
  (x) => x.cut(),
]
/** With a status that says that all is well: what is passed on as it comes can't be known to be none of it. */
const BROKEN: Script[] = [
  (x) => x.send(200, UPSTREAM_KEY, { 'content-type': 'application/json' }),
  (x) => x.send(200, `{"choices": "${UPSTREAM_KEY}"`, { 'content-type': 'application/json' }),
  (x) => x.json(200, { error: said }),
  (x) => x.json(200, { choices: [{ index: 9, message: { content: UPSTREAM_KEY } }] }),
  (x) => x.stream([chunk({ content: 'Hi' }), { error: said }]).then(() => x.end()),
  (x) => x.stream([chunk({ content: 'Hi' }), `no JSON ${UPSTREAM_KEY}`]).then(() => x.end()),
]

test('neither the key of the upstream nor that of the caller is told, kept or logged', async (t) => {
  let logged = ''
  const into = new Writable({
    write(chunk: Buffer, _encoding, done) {
      logged += chunk.toString()
      done()
    },
  })
  const logger = pino({ level: 'trace' }, into)
  const { post, upstream, log } = await startUpstreamGateway(t, { deps: { logger } })
  const requests = [
    ['/v1/chat/completions', { messages: [{ role: 'user', content: 'Hi' }] }],
    ['/v1/chat/completions', { messages: [{ role: 'user', content: 'Hi' }], stream: true }],
    ['/v1/completions', { prompt: 'Hi' }],
    ['/v1/embeddings', { input: 'Hi' }],
    ['/v1/moderations', { input: 'Hi' }],
  ] as const
  let told = ''
  let count = 0
  for (const [path, body] of requests) {
    const isPassedOn = path === '/v1/moderations'
    for (const script of isPassedOn ? REFUSALS : [...REFUSALS, ...BROKEN]) {
      count++
      upstream.next.push(script)
      const response = await post(path, { model: FAR_MODEL, ...body })
      told += JSON.stringify([...response.headers]) + (await response.text().catch(String))
    }
  }
  const kept = JSON.stringify(await log.first(count))
  assert.match(logged, /answered with status 401/)
  for (const [where, text] of Object.entries({ told, kept, logged })) {
    assert(!text.includes(UPSTREAM_KEY), `${where}: ${excerpt(text, UPSTREAM_KEY)}`)
    assert(!text.includes(KEY), `${where}: ${excerpt(text, KEY)}`)
  }
})

function excerpt(text: string, secret: string): string {
  const at = text.indexOf(secret)
  return text.slice(Math.max(0, at - 300), at + 100)
}
