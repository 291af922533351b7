import assert from 'node:assert/strict'
import { test } from 'node:test'

import { EncoderText } from '../../../runtime/encoder/text.ts'
import { byteLetters, tokenizerJson } from '../checkpoint/tiny-models.ts'
import { wordPieceTokenizer, wordPieceTokens } from '../../support/word-pieces.ts'

const textOf = (tokenizer: object, config: object, vocabSize: number) =>
  new EncoderText({
    tokenizer,
    config: config as Record<string, unknown>,
    vocabSize,
    contextTokens: 256,
  })

function wordsOf(reader: EncoderText, text: string): (string | null)[] {
  const encoded = reader.encode(text, 'input', false)
  return reader
    .spans(text, encoded)
    .map((span) => (span === null ? null : text.slice(span[0], span[1])))
}

test('pieces of words are found where they are, in any spelling', () => {
  const { json, config } = wordPieceTokenizer()
  const reader = textOf(json, config, wordPieceTokens().length)
  assert.deepEqual(wordsOf(reader, '  The CAT,  sat'), [null, 'The', 'CAT', ',', 'sat', null])
  // bob ##s
  assert.deepEqual(wordsOf(reader, 'Bobs'), [null, 'Bob', 's', null])
  assert.deepEqual(wordsOf(reader, 'Pàris café'), [null, 'Pàris', 'c', 'a', 'f', 'é', null])
})

test('what the vocabulary does not know takes the place that is left', () => {
  const { json, config } = wordPieceTokenizer()
  const reader = textOf(json, config, wordPieceTokens().length)
  assert.deepEqual(wordsOf(reader, 'the 🙂 cat'), [null, 'the', '🙂', 'cat', null])
  assert.deepEqual(wordsOf(reader, 'the cat ☃'), [null, 'the', 'cat', '☃', null])
})

test('tokens of bytes add up, also where a character is several of them', () => {
  assert.equal(byteLetters().length, 256)
  const reader = textOf(tokenizerJson(), {}, 300)
  const text = 'hello wé 🙂!'
  const words = wordsOf(reader, text)
  assert.ok(words.includes('hello'))
  assert.ok(words.includes('é') && words.includes('🙂') && words.at(-1) === '!')
})

test('an accent that is a character of its own belongs to its letter', () => {
  const { json, config } = wordPieceTokenizer()
  const reader = textOf(json, config, wordPieceTokens().length)
  assert.deepEqual(wordsOf(reader, 'Pa\u0301ris is'), [null, 'Pa\u0301ris', 'is', null])
  assert.deepEqual(wordsOf(reader, 'a cafe\u0301').at(-2), 'e\u0301')
})

test('a text without any token is refused', () => {
  const reader = textOf(tokenizerJson(), {}, 300)
  assert.throws(() => reader.encode('', 'input[0]', true), {
    message: "input[0] has no token that this version's tokenizer knows.",
  })
})
