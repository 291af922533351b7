// Traces, as a collector receives them.

import assert from 'node:assert/strict'
import { once } from 'node:events'
import { createServer } from 'node:http'
import test from 'node:test'
import type { TestContext } from 'node:test'
import type { AddressInfo } from 'node:net'

import { openTraces } from '../../gateway/traces/open.ts'
import { startDeclaredGateway } from '../support/declared-gateway.ts'
import { CHAT, KEY, startGateway } from '../support/gateway.ts'
import { recordLog } from '../support/logger.ts'
import { ScriptedUpstream } from '../support/scripted-upstream.ts'

const TRACE = '0af7651916cd43dd8448eb211c80319c'
const PARENT = 'b7ad6b7169203331'

const WITH_KEY = { 'content-type': 'application/json', authorization: `Bearer ${KEY}` }

interface Span {
  traceId: string
  spanId: string
  parentSpanId?: string
  name: string
  kind: number
  startTimeUnixNano: string
  endTimeUnixNano: string
  attributes: Record<string, unknown>
  status: { code?: number; message?: string }
  events: { name: string }[]
}

/** A collector that speaks OTLP over HTTP, as JSON. */
async function startCollector(t: TestContext) {
  const spans: Span[] = []
  const headers: Record<string, unknown>[] = []
  const server = createServer((request, response) => {
    const pieces: Buffer[] = []
    request.on('data', (piece: Buffer) => pieces.push(piece))
    request.on('end', () => {
      headers.push(request.headers)
      const body = JSON.parse(Buffer.concat(pieces).toString()) as {
        resourceSpans: { scopeSpans: { spans: (Span & { attributes: Attribute[] })[] }[] }[]
      }
      for (const { scopeSpans } of body.resourceSpans)
        for (const scope of scopeSpans)
          for (const span of scope.spans) spans.push({ ...span, attributes: read(span.attributes) })
      response.end('{}')
    })
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.after(() => server.close())
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, spans, headers }
}

interface Attribute {
  key: string
  value: Record<string, unknown>
}

function read(attributes: Attribute[]): Record<string, unknown> {
  return Object.fromEntries(attributes.map(({ key, value }) => [key, Object.values(value)[0]]))
}

async function openTraced(t: TestContext, share = 1) {
  const collector = await startCollector(t)
  const settings = {
    tracesUrl: collector.url,
    tracesHeaders: { 'x-team': 'search' },
    tracesName: 'gateway-of-tests',
    tracesShare: share,
  }
  const traces = await openTraces(settings, '1.2.3', recordLog().logger)
  assert.ok(traces)
  return { collector, traces }
}

test('an answer of an upstream is a span with one for each target that was asked, in the client’s trace', async (t) => {
  const { collector, traces } = await openTraced(t)
  const upstream = await ScriptedUpstream.start(t)
  const { post } = await startDeclaredGateway(
    t,
    {
      upstreams: { there: { api: 'compatible', base_url: `${upstream.url}/v1` } },
      models: {
        [CHAT.model]: {
          targets: [{ upstream: 'there', model: 'broken' }],
          fallbacks: [{ upstream: 'there', model: 'whole' }],
          retries: 0,
        },
      },
    },
    { deps: { traces } },
  )
  const told: string[] = []
  upstream.script = (x) => {
    const { headers, json } = x.request
    told.push(String(headers['traceparent']))
    if (json.model === 'broken') return x.json(500, { error: { message: 'a secret prompt' } })
    return x.json(200, WHOLE)
  }
  const response = await post('/v1/chat/completions', CHAT, {
    headers: { ...WITH_KEY, traceparent: `00-${TRACE}-${PARENT}-01`, tracestate: 'vendor=1' },
  })
  assert.equal(response.status, 200)
  await response.text()
  await traces.close()

  const { spans } = collector
  assert.deepEqual(new Set(spans.map(({ traceId }) => traceId)), new Set([TRACE]))
  const root = spans.find(({ parentSpanId }) => parentSpanId === PARENT)
  assert.ok(root)
  assert.equal(root.name, 'POST /v1/chat/completions')
  assert.equal(root.kind, 2)
  assert.equal(root.attributes['http.response.status_code'], 200)
  assert.equal(root.attributes['headrace.outcome'], 'completed')
  const asked = spans.filter(({ parentSpanId }) => parentSpanId === root.spanId)
  assert.deepEqual(
    asked.map(({ name, kind, attributes, status }) => [
      name,
      kind,
      attributes['gen_ai.request.model'],
      attributes['error.type'],
      status.code,
    ]),
    [
      [`chat ${CHAT.model}`, 3, 'broken', 'upstream_error', 2],
      [`chat ${CHAT.model}`, 3, 'whole', undefined, 0],
    ],
  )
  assert.equal(asked[1]!.attributes['gen_ai.usage.input_tokens'], 7)
  assert.equal(asked[1]!.attributes['gen_ai.usage.output_tokens'], 2)
  // It answered whole: when its first token came is not known.
  assert.equal(
    asked[1]!.events?.some(({ name }) => name === 'headrace.first_token') ?? false,
    false,
  )
  assert.deepEqual(
    told,
    asked.map(({ spanId }) => `00-${TRACE}-${spanId}-01`),
  )
  assert.equal(collector.headers[0]!['x-team'], 'search')
  assert.doesNotMatch(JSON.stringify(spans), /secret prompt/)
})

test('what an engine of ours does is told in parts', async (t) => {
  const { collector, traces } = await openTraced(t)
  const { post } = await startGateway(t, { deps: { traces } })
  const response = await post('/v1/chat/completions', { ...CHAT, stream: true })
  await response.text()
  await traces.close()
  const asked = collector.spans.find(({ name }) => name.startsWith('chat '))
  assert.ok(asked)
  assert.equal(asked.attributes['gen_ai.provider.name'], 'headrace')
  assert.deepEqual(
    asked.events.map(({ name }) => name),
    ['headrace.first_token'],
  )
  const parts = collector.spans.filter(({ parentSpanId }) => parentSpanId === asked.spanId)
  assert.deepEqual(
    parts.map(({ name }) => name),
    ['queue', 'prefill', 'decode'],
  )
  for (const [at, part] of parts.entries()) {
    assert.ok(BigInt(part.endTimeUnixNano) >= BigInt(part.startTimeUnixNano))
    if (at > 0) assert.equal(part.startTimeUnixNano, parts[at - 1]!.endTimeUnixNano)
  }
})

test('what a client did wrong is no error of the server', async (t) => {
  const { collector, traces } = await openTraced(t)
  const { post } = await startGateway(t, { deps: { traces } })
  const response = await post('/v1/chat/completions', { ...CHAT, model: 'nobody' })
  assert.equal(response.status, 404)
  await response.text()
  await traces.close()
  const [root] = collector.spans
  assert.equal(root?.attributes['error.type'], 'model_not_found')
  // Conventions for HTTP: a server's span with a status below 500 has none of its own.
  assert.equal(root.status.code, 0)
})

test('a share of nothing traces only what its client traces', async (t) => {
  const { collector, traces } = await openTraced(t, 0)
  const { post } = await startGateway(t, { deps: { traces } })
  const sampled = { traceparent: `00-${TRACE}-${PARENT}-01` }
  for (const headers of [{}, sampled, { traceparent: 'nonsense' }]) {
    await (
      await post('/v1/chat/completions', CHAT, { headers: { ...WITH_KEY, ...headers } })
    ).text()
  }
  await traces.close()
  const roots = collector.spans.filter(({ kind }) => kind === 2)
  assert.deepEqual(
    roots.map(({ traceId }) => traceId),
    [TRACE],
  )
})

test('a collector that is away costs no answer, and does not hold up the end', async (t) => {
  const { logger, messages } = recordLog()
  const away = await openTraces(
    { tracesUrl: 'http://127.0.0.1:1', tracesHeaders: null, tracesName: 'x', tracesShare: 1 },
    '1.2.3',
    logger,
  )
  assert.ok(away)
  const { post } = await startGateway(t, { deps: { traces: away } })
  assert.equal((await post('/v1/chat/completions', CHAT)).status, 200)
  const beganMs = performance.now()
  await away.close()
  assert.ok(performance.now() - beganMs < 5_000)
  assert.equal(messages().filter((message) => /traces could not be sent/.test(message)).length, 1)
})

test('without a collector there are no traces', async () => {
  const none = { tracesUrl: null, tracesHeaders: null, tracesName: 'x', tracesShare: 1 }
  assert.equal(await openTraces(none, '1.2.3', recordLog().logger), null)
})

const WHOLE = {
  id: 'chatcmpl-1',
  object: 'chat.completion',
  created: 1,
  model: 'whole',
  choices: [{ index: 0, message: { role: 'assistant', content: 'Hi' }, finish_reason: 'stop' }],
  usage: { prompt_tokens: 7, completion_tokens: 2, total_tokens: 9 },
}
