import assert from 'node:assert/strict'
import { test } from 'node:test'

import { Tokenizer } from '@huggingface/tokenizers'
import fc from 'fast-check'

import { Refusal } from '../../../runtime/engine/refusal.ts'
import type { Report } from '../../../runtime/engine/sampling/sampler.ts'
import type { Text } from '../../../runtime/engine/text/text.ts'
import {
  byteLevelSources,
  byteLevelText,
  sentencePieceSources,
  sentencePieceText,
} from './tiny-text.ts'

const WHOLE = { stop: [], isContinuation: false, hasLogprobs: false }

function deltas(text: Text, ids: readonly number[], stop: readonly string[] = []): string[] {
  const answer = text.answer({ ...WHOLE, stop })
  const pieces: string[] = []
  for (const id of ids) {
    const delta = answer.push(id, null)
    if (delta) pieces.push(delta.text)
    if (answer.isStopped) break
  }
  const rest = answer.end()
  if (rest) pieces.push(rest.text)
  return pieces
}

function refusalOf(work: () => unknown): Refusal {
  try {
    work()
  } catch (error) {
    assert(error instanceof Refusal, String(error))
    return error
  }
  return assert.fail('it was not refused')
}

const bytes = byteLevelText()
const pieces = sentencePieceText()
const SNIPPETS = ['the hello', '👩‍👩‍👧‍👦', '漢字', 'é', 'ﷺ', '\u0000', '🇨🇭', 'a\u0301', ' ', '\n']

test('an answer comes in whole characters, whatever its tokens are', () => {
  const anyText = fc.array(fc.oneof(fc.constantFrom(...SNIPPETS), fc.string({ unit: 'binary' })))
  fc.assert(
    fc.property(anyText, (parts) => {
      const whole = parts.join('').toWellFormed()
      const ids = whole === '' ? [] : bytes.encode({ kind: 'text', text: whole })
      const got = deltas(bytes, ids)
      assert.equal(got.join(''), whole)
      if (!whole.includes('\uFFFD')) assert(got.every((delta) => !delta.includes('\uFFFD')))
    }),
    { seed: 1, numRuns: 300 },
  )
})

test('tokens in any order give what the tokenizer library makes of all of them at once', () => {
  const byteLevel = byteLevelSources()
  const sentencePiece = sentencePieceSources()
  const kinds = [
    { text: bytes, sources: byteLevel },
    { text: pieces, sources: sentencePiece },
  ]
  for (const { text, sources } of kinds) {
    const library = new Tokenizer(sources.tokenizer, sources.config)
    const anyId = fc.integer({ min: 0, max: sources.vocabSize - 1 })
    fc.assert(
      fc.property(fc.array(anyId, { minLength: 1 }), (ids) => {
        const printed = ids.filter((id) => id > 2)
        if (printed.length === 0) return assert.deepEqual(deltas(text, ids), [])
        assert.equal(deltas(text, ids).join(''), library.decode(printed))
      }),
      { seed: 2, numRuns: 300 },
    )
  }
})

test('half a character at the end of an answer is not swallowed', () => {
  const ids = bytes.encode({ kind: 'text', text: 'a👍' })
  assert.equal(deltas(bytes, ids.slice(0, -1)).join(''), 'a\uFFFD')
})

test("SentencePiece's space in front belongs to a continuation but not to an answer", () => {
  const ids = pieces.encode({ kind: 'text', text: 'hello world' }).slice(1)
  assert.equal(deltas(pieces, ids).join(''), 'hello world')
  const answer = pieces.answer({ ...WHOLE, isContinuation: true })
  assert.equal(ids.map((id) => answer.push(id, null)?.text ?? '').join(''), ' hello world')
})

test('bytes of a SentencePiece vocabulary are put together to characters', () => {
  const ids = pieces.encode({ kind: 'text', text: 'h 漢👍é.' })
  assert(ids.length > 8)
  const got = deltas(pieces, ids)
  assert.equal(got.join(''), 'h 漢👍é.')
  assert(got.includes('漢') && got.includes('👍'))
})

test('a stop string is found over any boundary, and nothing of it is given out', () => {
  const anyText = fc.string({ unit: fc.constantFrom('a', 'b', 'c', '漢'), maxLength: 40 })
  const anyStops = fc.array(
    fc.string({ unit: fc.constantFrom('a', 'b', 'c', '漢'), minLength: 1, maxLength: 5 }),
    { maxLength: 4 },
  )
  fc.assert(
    fc.property(anyText, anyStops, (whole, stops) => {
      const ids = whole === '' ? [] : bytes.encode({ kind: 'text', text: whole })
      const ends = stops.map((stop) => whole.indexOf(stop)).filter((end) => end >= 0)
      const expected = whole.slice(0, Math.min(whole.length, ...ends))
      assert.equal(deltas(bytes, ids, stops).join(''), expected)
    }),
    { seed: 3, numRuns: 1000 },
  )
})

test('text that can be no stop string any more is given out at once', () => {
  const ids = bytes.encode({ kind: 'text', text: 'xST-y' })
  assert.deepEqual(deltas(bytes, ids, ['STOP']), ['x', 'ST-', 'y'])
})

test('a long answer with stop strings costs no more a token than a short one', () => {
  const roomy = byteLevelText({ contextTokens: 1e6 })
  const ids = roomy.encode({ kind: 'text', text: '漢 the hello ab'.repeat(4000) })
  const startMs = performance.now()
  deltas(bytes, ids, ['never this', 'abab'])
  assert(performance.now() - startMs < 2000, `${ids.length} tokens took too long`)
})

test('ten thousand tokens are encoded in well under a second by both kinds of tokenizer', () => {
  const prose = 'the hello in world on a hill é '
  for (const text of [
    byteLevelText({ contextTokens: 1e6 }),
    sentencePieceText({ contextTokens: 1e6 }),
  ]) {
    const startMs = performance.now()
    const ids = text.encode({ kind: 'text', text: prose.repeat(700) })
    assert(ids.length > 10_000)
    assert(performance.now() - startMs < 900, `${ids.length} tokens took too long`)
  }
})

test('token log-probabilities carry the bytes of their token, half characters too', () => {
  const [first] = bytes.encode({ kind: 'text', text: '漢' })
  const answer = bytes.answer({ ...WHOLE, hasLogprobs: true })
  const report: Report = { logprob: -1, top: [{ id: 2, logprob: -0.5 }] }
  assert.equal(answer.push(first!, report), null)
  const delta = answer.end()
  assert.deepEqual(delta?.logprobs, [
    {
      token: '\uFFFD',
      bytes: [0xe6],
      logprob: -1,
      top: [{ token: '<|end|>', bytes: [...Buffer.from('<|end|>')], logprob: -0.5 }],
    },
  ])
})

test('log-probabilities behind a stop string are dropped with their text', () => {
  const answer = bytes.answer({ stop: ['b'], isContinuation: false, hasLogprobs: true })
  const [a, x, b] = bytes.encode({ kind: 'text', text: 'axb' })
  const report: Report = { logprob: -1, top: [] }
  const seen = [a, x, b].flatMap((id) => answer.push(id!, report)?.logprobs ?? [])
  assert.deepEqual(
    seen.map(({ token }) => token),
    ['a', 'x'],
  )
  assert.equal(answer.end(), null)
})

test('a chat goes through its template, marks and all', () => {
  const ids = bytes.encode({ kind: 'chat', messages: [{ role: 'user', content: 'hello' }] })
  const expected = bytes.encode({
    kind: 'text',
    text: '<|start|>user\nhello<|end|>\n<|start|>assistant\n',
  })
  assert.deepEqual(ids, expected)
  assert.equal(ids[0], 1)
})

test("a developer's message is the system's to a template that knows no developers", () => {
  const ask = (role: 'developer' | 'system') => {
    return bytes.encode({ kind: 'chat', messages: [{ role, content: 'Be brief.' }] })
  }
  assert.deepEqual(ask('developer'), ask('system'))
  const knowing = byteLevelText({ chatTemplate: "{{ messages[0]['role'] }} not developer" })
  const prompt = knowing.encode({ kind: 'chat', messages: [{ role: 'developer', content: '' }] })
  assert.equal(deltas(knowing, prompt).join(''), 'developer not developer')
})

test("what a template raises is the request's error, in the template's words", () => {
  const text = byteLevelText({ chatTemplate: "{{ raise_exception('Roles must alternate!') }}" })
  const { failure } = refusalOf(() => {
    text.encode({ kind: 'chat', messages: [{ role: 'user', content: 'hi' }] })
  })
  assert.equal(failure.code, 'invalid_request')
  assert.match(failure.message, /Roles must alternate!/)
})

test('templates have strftime_now and the special tokens, as strings or objects', () => {
  const text = byteLevelText({
    chatTemplate: "{{ bos_token }}{{ eos_token }}{{ strftime_now('%Y') }}",
    config: { bos_token: { content: '<b>' }, eos_token: '<e>' },
  })
  const ids = text.encode({ kind: 'chat', messages: [{ role: 'user', content: '' }] })
  assert.equal(deltas(text, ids).join(''), `<b><e>${new Date().getFullYear()}`)
})

test('a chat to a version without a template is refused', () => {
  const { failure } = refusalOf(() => {
    pieces.encode({ kind: 'chat', messages: [{ role: 'user', content: 'hi' }] })
  })
  assert.equal(failure.code, 'invalid_request')
  assert.match(failure.message, /no chat template/)
})

test('a text that brings its own beginning mark gets no second one', () => {
  const plain = pieces.encode({ kind: 'text', text: 'hello' })
  assert.equal(plain[0], 1)
  assert.notEqual(plain[1], 1)
  const marked = pieces.encode({ kind: 'text', text: '<s>hello' })
  assert.equal(marked.filter((id) => id === 1).length, 1)
})

test('a token outside of the vocabulary and an empty prompt are refused with what is allowed', () => {
  const last = byteLevelSources().vocabSize - 1
  const { failure } = refusalOf(() => bytes.encode({ kind: 'tokens', ids: [1, last + 1] }))
  assert.equal(failure.code, 'invalid_request')
  assert.match(failure.message, new RegExp(`${last + 1}.*0 to ${last}`))
  assert.match(refusalOf(() => bytes.encode({ kind: 'text', text: '' })).message, /empty/)
  assert.match(refusalOf(() => bytes.encode({ kind: 'tokens', ids: [] })).message, /empty/)
})

test('a text of many megabytes is refused without being tokenised', () => {
  const text = byteLevelText({ contextTokens: 100 })
  const startMs = performance.now()
  const { failure } = refusalOf(() => {
    text.encode({ kind: 'text', text: 'the hello '.repeat(3_000_000) })
  })
  assert(performance.now() - startMs < 500)
  assert.equal(failure.code, 'context_length_exceeded')
  assert.equal(failure.contextTokens, 100)
  assert(failure.promptTokens! > 1_000_000)
})

test('a decoder that is not understood is named, with those that are', () => {
  const sources = byteLevelSources()
  const tokenizer = {
    ...sources.tokenizer,
    decoder: { type: 'WordPiece', prefix: '##', cleanup: true },
  }
  assert.throws(() => byteLevelText({ tokenizer }), /WordPiece.*supported are ByteLevel/)
})
