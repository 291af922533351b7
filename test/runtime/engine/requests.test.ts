import assert from 'node:assert/strict'
import { test } from 'node:test'

import { EngineBench, VOCABULARY } from './bench-engine.ts'
import { reciting } from './fake-runner.ts'
import { byteLevelText, sentencePieceText } from './tiny-text.ts'

const text = byteLevelText({ vocabSize: VOCABULARY, contextTokens: 256 })
const PROMPT = { kind: 'tokens' as const, ids: [10, 11, 12] }
const END = 2

/** An engine whose model says this, and then ends its turn. */
function saying(words: string, options: ConstructorParameters<typeof EngineBench>[0] = {}) {
  const ids = [...text.encode({ kind: 'text', text: words }), END]
  return new EngineBench({ model: reciting(VOCABULARY, PROMPT.ids.length, ids), ...options })
}

test('an answer ends where the model ends its turn, and the mark is not printed', () => {
  const bench = saying('hello 漢字')
  const id = bench.submit({ prompt: PROMPT })
  bench.finish()
  assert.equal(bench.answer(id), 'hello 漢字')
  const { finishReason, usage } = bench.one(id, 'done')
  assert.equal(finishReason, 'stop')
  assert.equal(usage.promptTokens, 3)
  assert.deepEqual(
    bench
      .events(id)
      .map(({ type }) => type)
      .filter((type) => type !== 'delta'),
    ['started', 'done'],
  )
})

test('an answer ends before a stop string, with the reason stop', () => {
  const bench = saying('the hello ENDING')
  const id = bench.submit({ prompt: PROMPT, stop: ['nothing', 'END'] })
  bench.finish()
  assert.equal(bench.answer(id), 'the hello ')
  assert.equal(bench.one(id, 'done').finishReason, 'stop')
})

test('text that was held back for a stop string comes when the turn ends', () => {
  const bench = saying('hello EN')
  const id = bench.submit({ prompt: PROMPT, stop: ['END'] })
  bench.finish()
  assert.equal(bench.answer(id), 'hello EN')
})

test('an answer of maxTokens ends with the reason length', () => {
  const bench = saying('abcdefgh')
  const id = bench.submit({ prompt: PROMPT, maxTokens: 4 })
  bench.finish()
  assert.equal(bench.answer(id), 'abcd')
  const { finishReason, usage } = bench.one(id, 'done')
  assert.equal(finishReason, 'length')
  assert.equal(usage.completionTokens, 4)
})

test('without maxTokens an answer may fill the context, and not one token more', () => {
  const bench = new EngineBench({ capacity: 20 })
  const id = bench.submit({ prompt: PROMPT, ignoreEnd: true })
  bench.finish()
  const { finishReason, usage } = bench.one(id, 'done')
  assert.equal(finishReason, 'length')
  assert.equal(usage.completionTokens, 17)
})

test('ignoreEnd goes on past the end of the turn', () => {
  const bench = saying('hi')
  const id = bench.submit({ prompt: PROMPT, maxTokens: 10, ignoreEnd: true })
  bench.finish()
  assert.equal(bench.one(id, 'done').usage.completionTokens, 10)
  assert.equal(bench.answer(id), 'hi')
})

test('echo gives the prompt back first', () => {
  const bench = saying('hello')
  const prompt = { kind: 'text' as const, text: 'a b' }
  const id = bench.submit({ prompt, echo: true })
  bench.finish()
  assert.equal(bench.answer(id), 'a bhello')
  assert.deepEqual(bench.all(id, 'delta')[0], { type: 'delta', text: 'a b', tokens: 0 })
  const ids = text.encode({ kind: 'text', text: 'the ' })
  const other = bench.submit({ prompt: { kind: 'tokens', ids }, echo: true, maxTokens: 1 })
  bench.finish()
  assert(bench.answer(other).startsWith('the '))
})

test('every delta says how many tokens it stands for', () => {
  const bench = saying('a漢b')
  const id = bench.submit({ prompt: PROMPT, sampling: { logprobs: 2 } })
  bench.finish()
  const deltas = bench.all(id, 'delta')
  assert.deepEqual(
    deltas.map(({ text: piece, tokens }) => [piece, tokens]),
    [
      ['a', 1],
      ['漢', 3],
      ['b', 1],
    ],
  )
  assert.deepEqual(
    deltas.map(({ logprobs }) => logprobs?.map(({ bytes, top }) => [bytes.length, top.length])),
    [
      [[1, 2]],
      [
        [1, 2],
        [1, 2],
        [1, 2],
      ],
      [[1, 2]],
    ],
  )
})

test('a prompt longer than the context is refused with both numbers', () => {
  const bench = new EngineBench({ capacity: 16 })
  const ids = Array.from({ length: 16 }, () => 9)
  const id = bench.submit({ prompt: { kind: 'tokens', ids } })
  const { error } = bench.one(id, 'error')
  assert.equal(error.code, 'context_length_exceeded')
  assert.equal(error.promptTokens, 16)
  assert.equal(error.contextTokens, 16)
  assert.match(error.message, /16 tokens.*16/)
})

test('a prompt and maxTokens that are too much together are refused with all three numbers', () => {
  const bench = new EngineBench({ capacity: 16 })
  const id = bench.submit({ prompt: PROMPT, maxTokens: 14 })
  const { error } = bench.one(id, 'error')
  assert.equal(error.code, 'context_length_exceeded')
  assert.deepEqual([error.promptTokens, error.maxTokens, error.contextTokens], [3, 14, 16])
  const fits = bench.submit({ prompt: PROMPT, maxTokens: 13, ignoreEnd: true })
  bench.finish()
  assert.equal(bench.one(fits, 'done').usage.completionTokens, 13)
})

test('a request that makes no sense fails alone', () => {
  const bench = saying('hello')
  const good = bench.submit({ prompt: PROMPT })
  const chat = { kind: 'chat' as const, messages: [{ role: 'user' as const, content: 'hi' }] }
  const bad = [
    bench.submit({ prompt: { kind: 'tokens', ids: [VOCABULARY] } }),
    bench.submit({ prompt: { kind: 'text', text: '' } }),
    bench.submit({ prompt: PROMPT, maxTokens: 0 }),
    bench.submit({ prompt: PROMPT, maxTokens: 1.5 }),
    bench.submit({ prompt: PROMPT, sampling: { temperature: -1 } }),
    bench.submit({ prompt: PROMPT, sampling: { logitBias: { [VOCABULARY]: 1 } } }),
    bench.submit({ prompt: chat, echo: true }),
    bench.submit({ prompt: PROMPT, id: good }) && good,
  ]
  bench.engine.check()
  for (const id of bad.slice(0, -1)) {
    assert.deepEqual(
      bench.events(id).map((event) => event.type === 'error' && event.error.code),
      ['invalid_request'],
    )
  }
  assert.match(bench.one(good, 'error').error.message, /unique/)
  bench.finish()
  assert.equal(bench.answer(good), 'hello')
})

test('where the queue is full the answer is overloaded, until there is room again', () => {
  const bench = new EngineBench({ slots: 2, maxWaiting: 1 })
  const submit = () => bench.submit({ prompt: PROMPT, maxTokens: 5, ignoreEnd: true })
  const accepted = [submit(), submit(), submit()]
  const refused = submit()
  assert.equal(bench.one(refused, 'error').error.code, 'overloaded')
  bench.step()
  assert.equal(bench.one(submit(), 'error').error.code, 'overloaded')
  bench.finish()
  for (const id of accepted) bench.one(id, 'done')
  bench.submit({ prompt: PROMPT, maxTokens: 1 })
  bench.finish()
})

test('a request that is cancelled is gone before the next step', () => {
  const bench = new EngineBench({ slots: 1 })
  const first = bench.submit({ prompt: PROMPT, ignoreEnd: true })
  const second = bench.submit({ prompt: PROMPT, ignoreEnd: true, maxTokens: 2 })
  const third = bench.submit({ prompt: PROMPT })
  bench.step(3)
  const heard = bench.events(first).length
  bench.engine.cancel(first)
  bench.engine.cancel(third)
  bench.engine.check()
  assert.equal(bench.engine.stats().running, 0)
  bench.step()
  bench.one(second, 'done')
  assert.equal(bench.events(first).length, heard)
  assert.deepEqual(bench.events(third), [])
  assert(bench.engine.isIdle)
})

test('a prompt that is cancelled in the middle lets the next one in', () => {
  const bench = new EngineBench({ prefillChunk: 4 })
  const long = bench.submit({
    prompt: { kind: 'tokens', ids: Array.from({ length: 50 }, () => 9) },
  })
  bench.step(2)
  bench.engine.cancel(long)
  const next = bench.submit({ prompt: PROMPT, maxTokens: 1 })
  bench.step()
  bench.one(next, 'done')
  bench.engine.check()
})

test('a draining engine serves what it has accepted and refuses what comes', () => {
  const bench = new EngineBench({ slots: 1 })
  const running = bench.submit({ prompt: PROMPT, maxTokens: 3, ignoreEnd: true })
  const waiting = bench.submit({ prompt: PROMPT, maxTokens: 3, ignoreEnd: true })
  bench.step()
  bench.engine.drain()
  const late = bench.submit({ prompt: PROMPT })
  assert.equal(bench.one(late, 'error').error.code, 'draining')
  bench.finish()
  bench.one(running, 'done')
  bench.one(waiting, 'done')
})

test('times are counted from when the engine got the request', () => {
  const bench = new EngineBench({ slots: 1 })
  const first = bench.submit({ prompt: PROMPT, maxTokens: 1 })
  const second = bench.submit({
    prompt: { kind: 'tokens', ids: Array.from({ length: 9 }, () => 9) },
    maxTokens: 2,
    ignoreEnd: true,
  })
  bench.nowMs = 100
  bench.step()
  bench.one(first, 'done')
  bench.nowMs = 140
  bench.step()
  bench.nowMs = 200
  bench.finish()
  const { timings } = bench.one(second, 'done')
  assert.equal(bench.one(second, 'started').queueMs, timings.queueMs)
  assert.deepEqual(timings, {
    queueMs: 140,
    prefillMs: 60,
    decodeMs: 0,
    timeToFirstTokenMs: 200,
  })
})

test('the figures add up', () => {
  const bench = new EngineBench({ slots: 3, capacity: 64 })
  const prompt = { kind: 'tokens' as const, ids: Array.from({ length: 20 }, (_, i) => 20 + i) }
  bench.submit({ prompt, maxTokens: 5, ignoreEnd: true })
  bench.submit({ prompt, maxTokens: 5, ignoreEnd: true })
  bench.step()
  assert.equal(bench.engine.stats().running, 1)
  assert.equal(bench.engine.stats().waiting, 1)
  assert.equal(bench.engine.stats().kvTokensUsed, 8)
  bench.finish()
  const stats = bench.engine.stats()
  assert.equal(stats.prefillTokens + stats.cachedTokens, 40)
  assert.equal(stats.decodeTokens, 8)
  assert.equal(stats.running + stats.waiting + stats.kvTokensUsed, 0)
  assert.equal(stats.kvTokensCapacity, 3 * 64)
  assert.equal(stats.contextTokens, 64)
})

test("a version's own sampling defaults hold where a request says nothing", () => {
  const bench = new EngineBench({ sampling: { temperature: 0 } })
  const ask = (temperature?: number) => {
    const id = bench.submit({
      prompt: PROMPT,
      maxTokens: 20,
      ignoreEnd: true,
      sampling: { temperature },
    })
    bench.finish()
    return bench.answer(id)
  }
  assert.equal(ask(), ask())
  assert.notEqual(ask(1), ask(1))
})

test('a forward pass that fails is thrown, not answered', () => {
  const bench = new EngineBench({
    model: () => {
      throw new Error('out of memory')
    },
  })
  bench.submit({ prompt: PROMPT })
  assert.throws(() => bench.step(), /out of memory/)
})

test('a SentencePiece version answers a continuation with its space', () => {
  const pieces = sentencePieceText()
  const ids = [...pieces.encode({ kind: 'text', text: 'world' }).slice(1), END]
  const model = reciting(VOCABULARY, 2, ids)
  const bench = new EngineBench({ text: sentencePieceText({ vocabSize: VOCABULARY }), model })
  const id = bench.submit({ prompt: { kind: 'tokens', ids: [1, 260] } })
  bench.finish()
  assert.equal(bench.answer(id), ' world')
})
