// What the server's own log says of an answer that failed: of one that was to be expected a line, of a defect where it is.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { TestContext } from 'node:test'

import { pino } from 'pino'

import { loggedError } from '../../gateway/logger.ts'
import { startDeclaredGateway } from '../support/declared-gateway.ts'
import { CHAT, startGateway } from '../support/gateway.ts'
import { chunk } from '../support/openai-wire.ts'
import { refuseWith, ScriptedUpstream } from '../support/scripted-upstream.ts'

interface Line {
  msg: string
  upstream?: string
  err?: { code?: string; message: string; stack?: string }
}

function readLines() {
  const lines: Line[] = []
  const logger = pino(
    { serializers: { err: loggedError } },
    { write: (line: string) => void lines.push(JSON.parse(line) as Line) },
  )
  return { logger, failures: () => lines.filter(({ err }) => err) }
}

async function startFailing(t: TestContext) {
  const upstream = await ScriptedUpstream.start(t)
  const { logger, failures } = readLines()
  const { post } = await startDeclaredGateway(
    t,
    {
      upstreams: { there: { api: 'compatible', base_url: `${upstream.url}/v1` } },
      models: { [CHAT.model]: { targets: [{ upstream: 'there', model: 'm' }], retries: 0 } },
    },
    { deps: { logger } },
  )
  const ask = async (body: object = {}) =>
    (await post('/v1/chat/completions', { ...CHAT, ...body })).text()
  return { upstream, ask, failures }
}

test("an upstream's failure is a line with its code and its reason, and no stack", async (t) => {
  const { upstream, ask, failures } = await startFailing(t)
  upstream.next.push(refuseWith(500), async (x) => {
    await x.stream([chunk({ content: 'Hello' })])
    await x.delay(10)
    x.cut()
  })
  await ask()
  await ask({ stream: true })
  const told = failures()
  assert.deepEqual(
    told.map(({ upstream, err }) => [upstream, err?.code, Object.keys(err ?? {})]),
    [
      ['there', 'upstream_error', ['type', 'message', 'code']],
      ['there', 'upstream_error', ['type', 'message', 'code']],
    ],
  )
  assert.match(told[0]?.err?.message ?? '', /answered with status 500/)
})

test('a defect is logged with where it is', async (t) => {
  const { logger, failures } = readLines()
  const { post, runtime } = await startGateway(t, { deps: { logger } })
  runtime.script = () => {
    throw new TypeError('x is not a function')
  }
  await (await post('/v1/chat/completions', CHAT)).text()
  const [line, ...others] = failures()
  assert.deepEqual([line?.err?.code, others], ['internal_error', []])
  assert.match(line?.err?.stack ?? '', /TypeError: x is not a function\n {4}at /)
})
