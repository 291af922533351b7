import assert from 'node:assert/strict'
import { test } from 'node:test'

import fc from 'fast-check'

import type { GenerateRequest } from '../../../runtime/protocol.ts'
import { EngineBench, VOCABULARY } from './bench-engine.ts'
import { hashingModel, reciting } from './fake-runner.ts'

type Asked = Pick<GenerateRequest, 'prompt' | 'sampling' | 'maxTokens'>

const WORDS = [10, 11, 12, 13, 14, 15, 16, 17, 18, 19]

/** Prompts that begin alike, more or less. */
const anyPrompt = fc
  .record({
    base: fc.constantFrom(0, 1),
    shared: fc.integer({ min: 1, max: 40 }),
    own: fc.array(fc.constantFrom(...WORDS), { maxLength: 6 }),
  })
  .map(({ base, shared, own }) => [
    ...Array.from({ length: shared }, (_, i) => WORDS[(i * (base + 3)) % WORDS.length]!),
    ...own,
  ])

const anyRequest: fc.Arbitrary<Asked> = fc.record({
  prompt: anyPrompt.map((ids) => ({ kind: 'tokens' as const, ids })),
  maxTokens: fc.integer({ min: 1, max: 12 }),
  sampling: fc.record({
    seed: fc.nat(),
    temperature: fc.constantFrom(0, 0.7, 1, 1.8),
    topK: fc.constantFrom(0, 5),
    topP: fc.constantFrom(1, 0.9),
    frequencyPenalty: fc.constantFrom(0, 0, 1),
    repetitionPenalty: fc.constantFrom(1, 1, 1.2),
    logprobs: fc.constant(1),
  }),
})

type Command = { type: 'add'; asked: Asked } | { type: 'step' } | { type: 'cancel'; nth: number }

const anyCommand = fc.oneof(
  { arbitrary: anyRequest.map((asked): Command => ({ type: 'add', asked })), weight: 3 },
  { arbitrary: fc.constant<Command>({ type: 'step' }), weight: 6 },
  { arbitrary: fc.nat().map((nth): Command => ({ type: 'cancel', nth })), weight: 1 },
)

function outcome(bench: EngineBench, id: string) {
  const { finishReason, usage } = bench.one(id, 'done')
  const logprobs = bench.all(id, 'delta').flatMap((delta) => delta.logprobs ?? [])
  return { finishReason, tokens: usage.completionTokens, answer: bench.answer(id), logprobs }
}

function alone(asked: Asked) {
  const bench = new EngineBench({ slots: 1, prefillChunk: 200 })
  const id = bench.submit(asked)
  bench.finish()
  return outcome(bench, id)
}

test('whatever comes and goes beside it, a request gets the tokens that it gets alone', () => {
  let reused = 0
  let copied = 0
  fc.assert(
    fc.property(
      fc.array(anyCommand, { minLength: 10, maxLength: 80 }),
      fc.integer({ min: 1, max: 5 }),
      fc.constantFrom(3, 8, 50),
      (commands, slots, prefillChunk) => {
        const bench = new EngineBench({ slots, prefillChunk })
        const asked = new Map<string, Asked>()
        for (const command of commands) {
          if (command.type === 'add') asked.set(bench.submit(command.asked), command.asked)
          else if (command.type === 'step') bench.step()
          else {
            const id = [...asked.keys()][command.nth % Math.max(1, asked.size)]
            if (id === undefined) continue
            if (bench.all(id, 'done').length === 0) asked.delete(id)
            bench.engine.cancel(id)
          }
          bench.engine.check()
        }
        bench.finish()
        bench.engine.check()
        for (const [id, request] of asked) {
          assert.deepEqual(outcome(bench, id), alone(request))
          const { promptTokens, cachedTokens } = bench.one(id, 'done').usage
          assert(cachedTokens <= Math.max(0, promptTokens - 2))
          reused += cachedTokens
        }
        copied += bench.runner.calls.filter((call) => call.startsWith('copy')).length
      },
    ),
    { seed: 6, numRuns: 150 },
  )
  assert(reused > 1000 && copied > 100, `nothing was put to the test: ${reused}, ${copied}`)
})

test('a long prompt delays those that decode by one chunk at a time', () => {
  const bench = new EngineBench({ prefillChunk: 10 })
  bench.submit({ ignoreEnd: true, maxTokens: 100 })
  bench.step()
  bench.runner.calls.length = 0
  bench.submit({ prompt: { kind: 'tokens', ids: Array.from({ length: 35 }, (_, i) => 20 + i) } })
  bench.step(4)
  const calls = bench.runner.calls.filter((call) => !call.startsWith('copy'))
  const expected =
    'prefill 10, decode 1, prefill 10, decode 1, prefill 10, decode 1, prefill 5, decode 2'
  assert.equal(calls.join(', '), expected)
})

test("short prompts share a step's chunk, so that a burst of them fills quickly", () => {
  const bench = new EngineBench({ slots: 8, prefillChunk: 30 })
  for (let first = 20; first < 28; first++) {
    bench.submit({ prompt: { kind: 'tokens', ids: [first, 1, 2, 3, 4, 5] }, ignoreEnd: true })
  }
  bench.step(2)
  assert.deepEqual(
    bench.runner.calls.filter((call) => call.startsWith('decode')),
    ['decode 5', 'decode 8'],
  )
})

test('requests are taken up in the order in which they came', () => {
  const bench = new EngineBench({ slots: 1, maxWaiting: 3 })
  const ids = [1, 2, 3].map(() => bench.submit({ maxTokens: 2, ignoreEnd: true }))
  const started: string[] = []
  while (!bench.engine.isIdle) {
    bench.step()
    for (const id of ids) {
      if (!started.includes(id) && bench.all(id, 'started').length > 0) started.push(id)
    }
  }
  assert.deepEqual(started, ids)
})

test("a conversation's next turn computes only what is new, and the last answer", () => {
  const bench = new EngineBench()
  const turn = Array.from({ length: 30 }, (_, i) => 20 + i)
  const first = bench.submit({
    prompt: { kind: 'tokens', ids: turn },
    maxTokens: 5,
    ignoreEnd: true,
  })
  bench.finish()
  assert.equal(bench.one(first, 'done').usage.cachedTokens, 0)
  const next = [...turn, 7, 8, 9, 10, 11, 12]
  const second = bench.submit({
    prompt: { kind: 'tokens', ids: next },
    maxTokens: 5,
    ignoreEnd: true,
  })
  bench.finish()
  assert.equal(bench.one(second, 'started').cachedTokens, 30)
  assert.equal(bench.one(second, 'done').usage.cachedTokens, 30)
  assert.equal(bench.engine.stats().cachedTokens, 30)
})

test('the answer to a next turn is the same whether the turn before is cached or not', () => {
  const turn = Array.from({ length: 10 }, (_, i) => 20 + i)
  const said = [40, 41, 42, 43, 44, 45]
  const recite = reciting(VOCABULARY, turn.length, said)
  const hash = hashingModel(VOCABULARY)
  const nextTurn = { kind: 'tokens' as const, ids: [...turn, ...said, 7, 8, 9] }
  const answerAfter = (isCached: boolean) => {
    const model = (held: readonly number[]) =>
      held.length < turn.length + said.length ? recite(held) : hash(held)
    const bench = new EngineBench({ model })
    if (isCached) bench.submit({ prompt: { kind: 'tokens', ids: turn }, maxTokens: said.length })
    bench.finish()
    const sampling = { temperature: 0, logprobs: 0 }
    const id = bench.submit({ prompt: nextTurn, maxTokens: 12, ignoreEnd: true, sampling })
    bench.finish()
    const { tokens, logprobs } = outcome(bench, id)
    return { tokens, logprobs, isCached: bench.one(id, 'done').usage.cachedTokens > 0 }
  }
  const fresh = answerAfter(false)
  assert.deepEqual(answerAfter(true), { ...fresh, isCached: true })
  assert(!fresh.isCached)
})

test('a prompt that runs already is copied and not computed again', () => {
  const bench = new EngineBench()
  const prompt = { kind: 'tokens' as const, ids: Array.from({ length: 30 }, (_, i) => 20 + i) }
  const ids = [1, 2, 3].map(() => bench.submit({ prompt, maxTokens: 40, ignoreEnd: true }))
  bench.finish()
  assert.deepEqual(
    ids.map((id) => bench.one(id, 'done').usage.cachedTokens),
    [0, 28, 28],
  )
})

test('of the prompts that are kept, the one that was not used for longest goes first', () => {
  const bench = new EngineBench({ slots: 4 })
  const run = (first: number) => {
    const ids = Array.from({ length: 20 }, (_, i) => first + i)
    const id = bench.submit({ prompt: { kind: 'tokens', ids }, maxTokens: 3, ignoreEnd: true })
    bench.finish()
    return bench.one(id, 'done').usage.cachedTokens
  }
  assert.deepEqual([run(20), run(60), run(100)], [0, 0, 0])
  assert.deepEqual([run(20), run(60), run(100)], [18, 18, 18])
  assert.deepEqual([run(140), run(180)], [0, 0])
  assert.deepEqual([run(60), run(140), run(180), run(20)], [18, 18, 18, 0])
})

test('tokens outside of the candidates are drawn as well', () => {
  const bench = new EngineBench({ model: () => new Float32Array(VOCABULARY) })
  const id = bench.submit({ maxTokens: 200, ignoreEnd: true, sampling: { seed: 1, logprobs: 0 } })
  bench.finish()
  const tokens = bench.all(id, 'delta').flatMap(({ logprobs }) => logprobs ?? [])
  assert(new Set(tokens.map(({ bytes }) => String(bytes))).size > 100)
  assert(tokens.every(({ logprob }) => Math.abs(logprob + Math.log(VOCABULARY)) < 1e-4))
})
