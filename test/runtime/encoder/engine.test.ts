// The loop, with a runner that says what it was given.

import assert from 'node:assert/strict'
import { test } from 'node:test'

import type { EncoderOutput } from '../../../models/encoder.ts'
import { EncoderEngine } from '../../../runtime/encoder/engine.ts'
import { EncoderText } from '../../../runtime/encoder/text.ts'
import type { EncodeEvent, EncodeRequest } from '../../../runtime/protocol.ts'
import { wordPieceTokenizer, wordPieceTokens } from '../../support/word-pieces.ts'
import { FakeRunner } from './fake-runner.ts'

const EMBED: EncoderOutput = { kind: 'embed', pooling: 'mean', isNormalised: false, dimensions: 2 }

function start({ output = EMBED, batchTokens = 64, maxWaiting = 8, contextTokens = 16 } = {}) {
  const { json, config } = wordPieceTokenizer()
  const runner = new FakeRunner()
  const text = new EncoderText({
    tokenizer: json,
    config,
    vocabSize: wordPieceTokens().length,
    contextTokens,
  })
  let ms = 0
  const engine = new EncoderEngine({
    runner,
    text,
    output,
    batchTokens,
    maxWaiting,
    now: () => ms++,
  })
  const events = new Map<string, EncodeEvent>()
  const collect = () => {
    for (const [id, event] of engine.takeEvents()) {
      assert.ok(event.type === 'encoded' || event.type === 'error')
      assert.ok(!events.has(id), `${id} was answered twice`)
      events.set(id, event)
    }
  }
  const settle = () => {
    let steps = 0
    for (; !engine.isIdle; steps++) {
      engine.step()
      engine.check()
      collect()
      assert.ok(steps < 1000, 'it never ends')
    }
    collect()
    return steps
  }
  return { engine, runner, events, settle }
}

const embed = (id: string, inputs: string[], more: object = {}): EncodeRequest => ({
  id,
  version: 'tiny@1',
  task: 'embed',
  inputs,
  ...more,
})

function vectorsOf(event: EncodeEvent | undefined): number[][] {
  assert.equal(event?.type, 'encoded')
  assert.equal(event.result.kind, 'vectors')
  return event.result.vectors.map((vector) => {
    const bytes = Uint8Array.from(Buffer.from(vector, 'base64'))
    return [...new Float32Array(bytes.buffer)]
  })
}

function refusalOf(event: EncodeEvent | undefined) {
  assert.equal(event?.type, 'error')
  return event.error
}

test('each text gets its own vector, whatever it was computed with', () => {
  const { engine, events, settle, runner } = start()
  engine.submit(embed('one', ['the cat', 'a dog sat on the mat .', 'paris']))
  engine.submit(embed('two', ['the cat']))
  settle()
  const tokens = wordPieceTokens()
  const id = (token: string) => tokens.indexOf(token)
  const mean = (words: string[]) =>
    [...words, '[CLS]', '[SEP]'].reduce((sum, word) => sum + id(word), 0) / (words.length + 2)
  const expected = [['the', 'cat'], ['a', 'dog', 'sat', 'on', 'the', 'mat', '.'], ['paris']].map(
    (words) => [Math.fround(mean(words)), 1],
  )
  assert.deepEqual(vectorsOf(events.get('one')), expected)
  assert.deepEqual(vectorsOf(events.get('two')), expected.slice(0, 1))
  assert.equal(runner.batches.length, 1, 'they fit one batch')
  const event = events.get('one')
  assert.ok(event?.type === 'encoded' && event.promptTokens === 4 + 9 + 3)
})

test('a request of many texts does not hold up a short one', () => {
  const { engine, events } = start()
  const many = Array.from({ length: 500 }, () => 'a dog sat on the mat .')
  engine.submit(embed('many', many))
  engine.step()
  engine.submit(embed('short', ['paris']))
  for (let steps = 0; steps < 12; steps++) engine.step()
  for (const [id, event] of engine.takeEvents()) {
    assert.ok(event.type === 'encoded' || event.type === 'error')
    events.set(id, event)
  }
  assert.deepEqual([...events.keys()], ['short'])
})

test('a request that is cancelled frees everything that it had', () => {
  const { engine, events, settle, runner } = start()
  engine.submit(
    embed(
      'gone',
      Array.from({ length: 500 }, () => 'a dog'),
    ),
  )
  engine.step()
  engine.cancel('gone')
  engine.check()
  assert.ok(engine.isIdle)
  engine.submit(embed('next', ['paris']))
  settle()
  assert.deepEqual([...events.keys()], ['next'])
  assert.equal(runner.batches.length, 2)
})

test('dimensions cut a vector and scale what is left; more than there are is refused', () => {
  const { engine, events, settle } = start()
  engine.submit(embed('cut', ['paris'], { dimensions: 1 }))
  engine.submit(embed('more', ['paris'], { dimensions: 3 }))
  settle()
  assert.deepEqual(vectorsOf(events.get('cut')), [[1]])
  const { code, message } = refusalOf(events.get('more'))
  assert.equal(code, 'invalid_request')
  assert.match(message, /have 2 numbers; 3 were asked for/)
})

test('a text that is too long is refused by name, or cut where that is asked for', () => {
  const { engine, events, settle, runner } = start({ contextTokens: 6 })
  const long = 'a dog sat on the mat .'
  engine.submit(embed('refused', ['paris', long]))
  engine.submit(embed('cut', ['paris', long], { truncate: true }))
  engine.submit(embed('tokens', [], { inputs: [[5, 6, 7, 8, 9, 10, 11]] }))
  settle()
  const { code, message, promptTokens } = refusalOf(events.get('refused'))
  assert.deepEqual([code, promptTokens], ['context_length_exceeded', 9])
  assert.match(message, /reads 6 tokens at once; input\[1\] has 9/)
  assert.equal(vectorsOf(events.get('cut')).length, 2)
  assert.ok(runner.batches.flat().every((length) => length <= 6))
  assert.equal(refusalOf(events.get('tokens')).code, 'context_length_exceeded')
})

test('what the version can not do, or has no room for, is said at once', () => {
  const { engine, events } = start({ maxWaiting: 1 })
  const ask = { version: 'tiny@1' }
  engine.submit({
    id: 'chat',
    ...ask,
    prompt: { kind: 'text', text: 'hi' },
    sampling: {},
    stop: [],
  })
  engine.submit({ id: 'rank', ...ask, task: 'rerank', query: 'a', documents: ['b'] })
  engine.submit(embed('token', [], { inputs: [[100_000]] }))
  engine.submit(embed('too many', ['paris']))
  engine.step()
  engine.drain()
  engine.submit(embed('late', ['paris']))
  for (const [id, event] of engine.takeEvents()) {
    assert.ok(event.type === 'error')
    events.set(id, event)
  }
  const codes = [...events].map(([id, event]) => [id, refusalOf(event).code])
  assert.deepEqual(Object.fromEntries(codes), {
    chat: 'wrong_kind',
    rank: 'wrong_kind',
    token: 'invalid_request',
    'too many': 'overloaded',
    late: 'draining',
  })
})

const RANK: EncoderOutput = { kind: 'rerank' }

test('a query is never cut: one that leaves no room for a document is refused', () => {
  const { engine, events, settle } = start({ output: RANK, contextTokens: 8 })
  const rank = (id: string, query: string) => ({
    id,
    version: 'tiny@1',
    task: 'rerank' as const,
    query,
    documents: ['paris is good', 'berlin is good'],
    truncate: true,
  })
  engine.submit(rank('fits', 'the cat sat'))
  engine.submit(rank('too long', 'the cat sat on the mat'))
  settle()
  assert.equal(events.get('fits')?.type, 'encoded')
  const { code, message } = refusalOf(events.get('too long'))
  assert.equal(code, 'context_length_exceeded')
  assert.match(message, /reads 8 tokens at once; documents\[0\] comes behind a text of 8, which/)
})

test('a text whose tokens fit is read, however many characters they are of', () => {
  const { engine, events, settle, runner } = start({ contextTokens: 16 })
  const wide = `the${' '.repeat(300)}cat`
  engine.submit(embed('wide', [wide]))
  engine.submit(embed('cut', [wide], { truncate: true }))
  engine.submit(embed('blob', ['x'.repeat(500)]))
  engine.submit(embed('endless', [`the${' '.repeat(10_000)}cat`]))
  settle()
  for (const id of ['wide', 'cut', 'blob']) assert.equal(events.get(id)?.type, 'encoded', id)
  assert.deepEqual(
    runner.batches.flat().toSorted((a, b) => a - b),
    [3, 4, 4],
  )
  assert.match(refusalOf(events.get('endless')).message, /input\[0\] has about \d+\.$/)
})

test('numbers that are none are a failure of their request, and of no other', () => {
  const { engine, events, settle, runner } = start()
  const run = runner.run.bind(runner)
  const bad = wordPieceTokens().indexOf('bad')
  runner.run = (texts) => {
    const rows = run(texts)
    return { ...rows, values: rows.values.map((value) => (value === bad ? NaN : value)) }
  }
  engine.submit(embed('one', ['good', 'bad', 'bad']))
  engine.submit(embed('two', ['good']))
  engine.submit(embed('three', ['bad']))
  settle()
  assert.equal(events.get('two')?.type, 'encoded')
  assert.equal(refusalOf(events.get('three')).code, 'internal')
  const { code, message } = refusalOf(events.get('one'))
  assert.equal(code, 'internal')
  assert.match(message, /^The graph of 'tiny@1' gave NaN or infinity for input\[1\]\.$/)
})
