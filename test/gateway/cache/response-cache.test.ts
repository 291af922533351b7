import assert from 'node:assert/strict'
import test from 'node:test'
import type { TestContext } from 'node:test'

import fc from 'fast-check'

import { AnswerStore } from '../../../gateway/cache/answer-store.ts'
import { canonicalJson } from '../../../gateway/cache/question-key.ts'
import { ResponseCache } from '../../../gateway/cache/response-cache.ts'
import { connectRedis } from '../../../gateway/process/redis.ts'
import { defer } from '../../support/lasting.ts'
import { collect } from '../../support/gateway.ts'
import { callerWith } from '../../support/limits.ts'
import { recordLog } from '../../support/logger.ts'
import { REDIS_IS_ABSENT, startRedis } from '../../support/redis.ts'
import { until } from '../../support/until.ts'
import type { AnswerEvent, Chat, Completion, Question } from '../../../gateway/backends/backend.ts'
import type { Asking, Looked } from '../../../gateway/cache/response-cache.ts'
import type { Route, RoutedEvent, Target } from '../../../gateway/routing/route.ts'

const target = (version: string): Target => ({
  version,
  upstream: 'local',
  asks: version,
  backend: { answer: () => assert.fail('The cache asks nobody.') },
  weight: 1,
  price: null,
  timeouts: {},
  created: '2026-01-01T00:00:00.000Z',
})

const route = (changes: Partial<Route> = {}): Route => ({
  model: 'guide',
  targets: [target('guide@2')],
  fallbacks: [],
  balance: 'weighted',
  stickyHeader: null,
  retries: 0,
  cacheSeconds: 60,
  ...changes,
})

const chat = (changes: Partial<Chat> = {}): Chat => ({
  kind: 'chat',
  id: 'exchange-1',
  promptParam: 'messages',
  isStreamed: false,
  choices: 1,
  sampling: { temperature: 0.5, seed: 7 },
  stop: [],
  extra: {},
  dialect: 'openai',
  messages: [{ role: 'user', content: [{ type: 'text', text: 'Hi' }] }],
  tools: [],
  ...changes,
})

const usage = { promptTokens: 7, cachedTokens: 0, completionTokens: 3 }
const DONE: AnswerEvent = { type: 'done', usage, timings: null }

const ANSWER: AnswerEvent[] = [
  { type: 'started', promptTokens: 7, cachedTokens: 0, queueMs: 3 },
  { type: 'delta', choice: 0, text: 'Hel', tokens: 1 },
  { type: 'delta', choice: 0, text: 'lo', tokens: 1 },
  { type: 'finished', choice: 0, finishReason: 'stop' },
  { ...DONE, timings: { queueMs: 3, prefillMs: 1, decodeMs: 1, timeToFirstTokenMs: 2 } },
]

async function* routed(events: AnswerEvent[], version = 'guide@2'): AsyncGenerator<RoutedEvent> {
  await Promise.resolve()
  yield { type: 'routed', target: target(version) }
  yield* events
}

interface CacheOptions {
  now?: () => number
  maxBytes?: number
  redisUrl?: string
}

async function startCache(t: TestContext, options: CacheOptions = {}) {
  const { logger } = recordLog()
  const { now = () => 0, maxBytes = 1e6, redisUrl } = options
  const redis = redisUrl === undefined ? null : connectRedis(redisUrl, 'answers', logger)
  const cache = new ResponseCache({ store: new AnswerStore({ maxBytes, redis, now }), logger })
  defer(t, () => cache.close())
  if (redis) await until(() => redis.status === 'ready')
  const caller = callerWith({})
  const look = (question: Question, asking: Partial<Asking> = {}) =>
    cache.lookup(question, { caller, route: route(), wish: undefined, ...asking })
  const keep = async (question: Question, events = ANSWER, asking: Partial<Asking> = {}) =>
    collect((await look(question, asking)).record(routed(events)))
  return { cache, look, keep }
}

async function answerOf({ state, hit }: Looked): Promise<AnswerEvent[]> {
  assert.equal(state, 'hit')
  const [first, ...rest] = await collect(hit!.events)
  assert.equal(first?.type === 'routed' && first.target.version, 'guide@2')
  return rest as AnswerEvent[]
}

test('an equal question gets the answer again, in one piece and with its usage', async (t) => {
  const { cache, look, keep } = await startCache(t)
  const passed = await keep(chat())
  assert.deepEqual(passed.slice(1), ANSWER)
  const again = chat({ id: 'exchange-2', isStreamed: true, user: 'somebody' })
  assert.deepEqual(await answerOf(await look(again)), [
    { type: 'delta', choice: 0, text: 'Hello', tokens: 2 },
    { type: 'finished', choice: 0, finishReason: 'stop' },
    DONE,
  ])
  assert.deepEqual([cache.hits, cache.misses], [1, 1])
})

test('the order of keys does not matter, and that of messages does', async (t) => {
  const { look, keep } = await startCache(t)
  const schema = { type: 'object', properties: { a: {}, b: {} } }
  const turned = { properties: { b: {}, a: {} }, type: 'object' }
  await keep(chat({ tools: [{ name: 'f', parameters: schema }] }))
  assert.equal((await look(chat({ tools: [{ parameters: turned, name: 'f' }] }))).state, 'hit')
  fc.assert(
    fc.property(fc.dictionary(fc.string(), fc.jsonValue()), (value) => {
      const reversed = Object.fromEntries(Object.entries(value).reverse())
      assert.equal(canonicalJson(reversed), canonicalJson(value))
    }),
  )
})

test('whatever changes an answer makes another question', async (t) => {
  const { look, keep } = await startCache(t)
  await keep(chat())
  const completion: Completion = {
    ...chat(),
    kind: 'completion',
    prompts: [{ kind: 'text', text: 'Hi' }],
    echo: false,
  }
  const others: Question[] = [
    chat({ messages: [{ role: 'user', content: [{ type: 'text', text: 'Hi!' }] }] }),
    chat({ messages: [{ role: 'system', content: [{ type: 'text', text: 'Hi' }] }] }),
    chat({ sampling: { temperature: 0.5, seed: 8 } }),
    chat({ maxTokens: 5 }),
    chat({ stop: ['x'] }),
    chat({ choices: 2 }),
    chat({ toolChoice: 'none' }),
    chat({ responseFormat: { type: 'json_object' } }),
    chat({ reasoningEffort: 'low' }),
    chat({ extra: { service_tier: 'flex' } }),
    completion,
  ]
  for (const question of others) {
    assert.equal((await look(question)).state, 'miss', canonicalJson(question))
  }
  const newer = route({ targets: [target('guide@3')] })
  assert.equal((await look(chat(), { route: newer })).state, 'miss')
})

test("no project and no key gets another's answer", async (t) => {
  const { look, keep } = await startCache(t)
  const ofProject = (id: string) => ({
    ...callerWith({}),
    project: { id, name: 'search', limits: {} },
  })
  await keep(chat(), ANSWER, { caller: ofProject('a') })
  assert.equal((await look(chat(), { caller: ofProject('a') })).state, 'hit')
  assert.equal((await look(chat(), { caller: ofProject('b') })).state, 'miss')
  assert.equal((await look(chat())).state, 'miss')
  await keep(chat())
  assert.equal((await look(chat(), { caller: { ...callerWith({}), id: 'key-2' } })).state, 'miss')
})

test('the cache is off unless the route or the key says otherwise, and the key has the last word', async (t) => {
  const { look, keep } = await startCache(t)
  const off = route({ cacheSeconds: null })
  const events = routed(ANSWER)
  const looked = await look(chat(), { route: off })
  assert.equal(looked.state, null)
  assert.equal(looked.record(events), events)
  const caller = { ...callerWith({}), cacheSeconds: 60 }
  await keep(chat(), ANSWER, { route: off, caller })
  assert.equal((await look(chat(), { route: off, caller })).state, 'hit')
  assert.equal((await look(chat(), { caller: { ...caller, cacheSeconds: 0 } })).state, null)
})

test('a request may ask to be answered anew, or not to be kept', async (t) => {
  const { look, keep } = await startCache(t)
  await keep(chat())
  const anew = await look(chat(), { wish: 'no-cache' })
  assert.deepEqual([anew.state, anew.hit], ['bypass', null])
  await collect(
    anew.record(routed([{ ...ANSWER[1]!, text: 'New' } as AnswerEvent, ...ANSWER.slice(3)])),
  )
  const [first] = await answerOf(await look(chat()))
  assert.equal(first?.type === 'delta' && first.text, 'New')
  assert.equal((await look(chat(), { wish: 'no-store' })).state, 'bypass')
  await keep(chat({ stop: ['y'] }), ANSWER, { wish: 'no-store' })
  assert.equal((await look(chat({ stop: ['y'] }))).state, 'miss')
})

test('an answer is given for as long as was said', async (t) => {
  let now = 0
  const { look, keep } = await startCache(t, { now: () => now })
  await keep(chat())
  now = 59_999
  assert.equal((await look(chat())).state, 'hit')
  now = 60_000
  assert.equal((await look(chat())).state, 'miss')
})

test('what is not a whole answer is never kept', async (t) => {
  const { look, keep } = await startCache(t)
  await keep(chat(), ANSWER.slice(0, -1))
  assert.equal((await look(chat())).state, 'miss')

  async function* broken() {
    yield* routed(ANSWER.slice(0, 3))
    throw new Error('cut')
  }
  await assert.rejects(collect((await look(chat())).record(broken())), /cut/)
  assert.equal((await look(chat())).state, 'miss')

  for await (const event of (await look(chat())).record(routed(ANSWER))) {
    if (event.type === 'delta') break
  }
  assert.equal((await look(chat())).state, 'miss')

  await keep(chat(), [{ type: 'finished', choice: 0, finishReason: 'content_filter' }, DONE])
  assert.equal((await look(chat())).state, 'miss')

  await keep(chat(), [{ type: 'delta', choice: 0, text: 'x'.repeat(300_000), tokens: 9 }, DONE])
  assert.equal((await look(chat())).state, 'miss')
})

test('pieces of choices, tools, thoughts and refusals that come mixed are told apart', async (t) => {
  const { look, keep } = await startCache(t)
  await keep(chat(), [
    { type: 'reasoning', choice: 0, text: 'I ' },
    { type: 'reasoning', choice: 0, text: 'see', signature: 's' },
    { type: 'delta', choice: 0, text: 'a', tokens: 1 },
    { type: 'delta', choice: 1, text: 'x', tokens: null },
    { type: 'delta', choice: 0, text: 'b', tokens: 1 },
    { type: 'delta', choice: 1, text: 'y', tokens: 1 },
    { type: 'toolCall', choice: 0, index: 0, id: 'c0', name: 'f' },
    { type: 'toolArguments', choice: 0, index: 0, text: '{' },
    { type: 'refusal', choice: 1, text: 'N' },
    { type: 'toolArguments', choice: 0, index: 0, text: '}' },
    { type: 'refusal', choice: 1, text: 'o' },
    { type: 'toolCall', choice: 0, index: 1, id: 'c1', name: 'g' },
    { type: 'toolArguments', choice: 0, index: 1, text: '{}' },
    DONE,
  ])
  assert.deepEqual(await answerOf(await look(chat())), [
    { type: 'reasoning', choice: 0, text: 'I see', signature: 's' },
    { type: 'delta', choice: 0, text: 'ab', tokens: 2 },
    { type: 'delta', choice: 1, text: 'xy', tokens: null },
    { type: 'toolCall', choice: 0, index: 0, id: 'c0', name: 'f' },
    { type: 'toolArguments', choice: 0, index: 0, text: '{}' },
    { type: 'refusal', choice: 1, text: 'No' },
    { type: 'toolCall', choice: 0, index: 1, id: 'c1', name: 'g' },
    { type: 'toolArguments', choice: 0, index: 1, text: '{}' },
    DONE,
  ])
})

test('memory is bounded: the answers that were asked for the longest ago go', async (t) => {
  const { cache, look, keep } = await startCache(t, { maxBytes: 20_000 })
  const long: AnswerEvent[] = [
    { type: 'delta', choice: 0, text: 'x'.repeat(3_000), tokens: 9 },
    DONE,
  ]
  for (let maxTokens = 1; maxTokens <= 10; maxTokens++) await keep(chat({ maxTokens }), long)
  assert.ok(cache.bytes <= 20_000)
  assert.equal((await look(chat({ maxTokens: 1 }))).state, 'miss')
  assert.equal((await look(chat({ maxTokens: 10 }))).state, 'hit')
})

test(
  'replicas share answers over Redis, and go on without it',
  { skip: REDIS_IS_ABSENT },
  async (t) => {
    const server = await startRedis(t)
    const a = await startCache(t, { redisUrl: server.url })
    const b = await startCache(t, { redisUrl: server.url })
    await a.keep(chat())
    // What one connection wrote the other may read a moment later.
    while ((await b.look(chat())).state !== 'hit')
      await new Promise((resolve) => setTimeout(resolve, 5))
    assert.equal((await answerOf(await b.look(chat()))).length, 3)
    await server.kill()
    assert.equal((await b.look(chat())).state, 'hit')
    assert.equal((await b.look(chat({ stop: ['z'] }))).state, 'miss')
  },
)
