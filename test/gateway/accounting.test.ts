// What is counted of an exchange, however it went, and whatever becomes of its row.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { TestContext } from 'node:test'

import { ADMIN } from '../../gateway/callers/caller.ts'
import { startDeclaredGateway } from '../support/declared-gateway.ts'
import { ANTHROPIC } from '../support/fault-wire.ts'
import { CHAT, KEY, startGateway } from '../support/gateway.ts'
import { answerChat, chatChunks, chunk } from '../support/openai-wire.ts'
import { ScriptedUpstream } from '../support/scripted-upstream.ts'
import type { Script } from '../support/scripted-upstream.ts'

async function startOver(t: TestContext) {
  const upstream = await ScriptedUpstream.start(t)
  const gateway = await startDeclaredGateway(t, {
    upstreams: { there: { api: 'compatible', base_url: `${upstream.url}/v1` } },
    models: { [CHAT.model]: { targets: [{ upstream: 'there', model: 'm' }], retries: 0 } },
  })
  return { ...gateway, upstream }
}

test('limits hold while nothing can be logged', async (t) => {
  const exchangeLog = {
    hasRoom: false,
    append: () => {
      throw new Error('No space left on device')
    },
  }
  const { keys, post } = await startGateway(t, { deps: { exchangeLog } })
  keys.add(KEY, {
    ...ADMIN,
    id: 'caller-1',
    role: 'caller',
    limits: { requestsPerMinute: 2, concurrentRequests: 1 },
  })
  const statuses = []
  for (let i = 0; i < 3; i++) {
    const response = await post('/v1/chat/completions', CHAT)
    await response.text()
    statuses.push(response.status)
  }
  assert.deepEqual(statuses, [200, 200, 429])
})

test('the row of an embedding has its text and its tokens, and none of its numbers', async (t) => {
  const { upstream, post, log } = await startOver(t)
  const data = [{ object: 'embedding', index: 0, embedding: [0.123456789, 0.25] }]
  const usage = { prompt_tokens: 3, total_tokens: 3 }
  upstream.script = (x) => x.json(200, { object: 'list', data, model: 'm', usage })
  const body = { model: CHAT.model, input: 'Hi there', encoding_format: 'float' }
  const response = await post('/v1/embeddings', body)
  assert.match(await response.text(), /0\.12345/)
  const row = await log.onlyRecord()
  assert.deepEqual([row.prompt, row.promptTokens, row.answer], ['Hi there', 3, null])
  assert(!JSON.stringify(row).includes('0.12345'))
})

test('the first token is the first that says something, not the frame that opens the stream', async (t) => {
  const { upstream, post, log } = await startOver(t)
  const [opening, ...others] = chatChunks(['Hello', ' there'])
  upstream.script = async (x) => {
    await x.stream([opening, chunk({ role: 'assistant', content: '' })])
    await x.delay(120)
    await x.stream(others)
    await x.end()
  }
  const response = await post('/v1/chat/completions', { ...CHAT, stream: true })
  await response.text()
  const { timeToFirstTokenMs, totalMs, overheadMs } = await log.onlyRecord()
  assert(timeToFirstTokenMs !== null && overheadMs !== null)
  assert(timeToFirstTokenMs >= 118 && timeToFirstTokenMs <= totalMs, `${timeToFirstTokenMs} ms`)
  assert(overheadMs < 110, `waiting for the upstream is no overhead: ${overheadMs} ms`)
})

test('a client that leaves is counted as one that left, with what it got', async (t) => {
  const { upstream, post, log, url } = await startOver(t)
  upstream.script = async (x) => {
    await x.stream([chunk({ content: 'Hello' })])
    await x.stall()
  }
  const leaving = new AbortController()
  const response = await post(
    '/v1/chat/completions',
    { ...CHAT, stream: true },
    { signal: leaving.signal },
  )
  await response.body?.getReader().read()
  leaving.abort()
  const { outcome, completionTokens, isUsageEstimated } = await log.onlyRecord()
  assert.deepEqual([outcome, completionTokens, isUsageEstimated], ['cancelled', 2, true])
  const scraped = await (await fetch(`${url}/metrics`)).text()
  const labels = `route="/v1/chat/completions",model="${CHAT.model}",version="m@there"`
  assert(scraped.includes(`headrace_requests_total{${labels},outcome="cancelled",status="200"} 1`))
  assert.match(scraped, /direction="completion"\} 2/)
})

test('what a target asks for its time is what an answer costs, tokens apart', async (t) => {
  const upstream = await ScriptedUpstream.start(t)
  upstream.script = async (x) => {
    await x.delay(100)
    await answerChat(['Hello'])(x)
  }
  const price = { input: 0, output: 0, second: 2 }
  const { post, log } = await startDeclaredGateway(t, {
    upstreams: { there: { api: 'compatible', base_url: `${upstream.url}/v1` } },
    models: { [CHAT.model]: { targets: [{ upstream: 'there', model: 'm', price }] } },
  })
  await (await post('/v1/chat/completions', CHAT)).text()
  const { costUsd, totalMs } = await log.onlyRecord()
  assert(costUsd !== null && costUsd >= 0.18 && costUsd <= (totalMs / 1000) * 2, `${costUsd}`)
})

test('a prompt that one target had taken up before another answered is counted once', async (t) => {
  const upstream = await ScriptedUpstream.start(t)
  const { opening, words } = ANTHROPIC
  const breakOff =
    (...told: string[]): Script =>
    async (x) => {
      x.head(200, { 'content-type': 'text/event-stream' })
      for (const each of told) await x.write(each)
      await x.delay(10)
      x.cut()
    }
  upstream.next.push(breakOff(opening), breakOff(opening, words[0]))
  const { post, log } = await startDeclaredGateway(t, {
    upstreams: { there: { api: 'anthropic', base_url: upstream.url, key: 'a-key-of-the-tests' } },
    models: {
      [CHAT.model]: {
        targets: [{ upstream: 'there', model: 'm' }],
        fallbacks: [{ upstream: 'there', model: 'n' }],
        retries: 0,
      },
    },
  })
  await (await post('/v1/chat/completions', { ...CHAT, stream: true })).text()
  const { promptTokens, cachedTokens, outcome, attempts } = await log.onlyRecord()
  assert.deepEqual([outcome, attempts.length], ['failed', 2])
  assert.deepEqual([promptTokens, cachedTokens], [60, 30])
})

test('a conversation that names itself stays where it was answered first', async (t) => {
  const upstreams = await Promise.all([1, 2, 3].map(() => ScriptedUpstream.start(t)))
  for (const upstream of upstreams) upstream.script = answerChat(['Hello'])
  const names = ['a', 'b', 'c']
  const { post } = await startDeclaredGateway(t, {
    upstreams: Object.fromEntries(
      names.map((name, at) => [
        name,
        { api: 'compatible', base_url: `${upstreams[at]?.url}/v1` } as const,
      ]),
    ),
    models: {
      [CHAT.model]: {
        targets: names.map((upstream) => ({ upstream, model: 'm' })),
        sticky_header: 'x-conversation',
      },
    },
  })
  const used = new Set<string | null>()
  for (let conversation = 0; conversation < 12; conversation++) {
    const targets = new Set<string | null>()
    for (let turn = 0; turn < 3; turn++) {
      const headers = {
        'content-type': 'application/json',
        authorization: `Bearer ${KEY}`,
        'x-conversation': `conversation-${conversation}`,
      }
      const response = await post('/v1/chat/completions', CHAT, { headers })
      targets.add(response.headers.get('x-headrace-target'))
      await response.text()
    }
    assert.equal(targets.size, 1)
    used.add([...targets][0] ?? null)
  }
  assert(used.size > 1, 'conversations are spread')
})
