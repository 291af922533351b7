// Reading a chunk without parsing it gives what parsing gives, or nothing.

import assert from 'node:assert/strict'
import { test } from 'node:test'

import fc from 'fast-check'

import { ChunkPattern } from '../../../gateway/backends/upstream/openai/chunk-pattern.ts'

const write = (content: string, more: object = {}) =>
  JSON.stringify({
    id: 'x',
    choices: [{ index: 0, delta: { content }, finish_reason: null }],
    ...more,
  })

function learned(chunk: string, text: string): ChunkPattern {
  const pattern = new ChunkPattern('content')
  pattern.learn(chunk, text)
  return pattern
}

test('any text is found in a chunk like the first', () => {
  const text = fc.string({ unit: 'grapheme' })
  fc.assert(
    fc.property(text, text, (first, second) => {
      assert.equal(learned(write(first), first).match(write(second)), second)
    }),
  )
})

test('a chunk that says anything else is left to the parser', () => {
  const pattern = learned(write('a'), 'a')
  for (const chunk of [
    write('b', { usage: {} }),
    write('b').replace('"index":0', '"index":1'),
    write('b').replace('null', '"stop"'),
    write('b').replace('"b"', 'null'),
    write('b').replace('"b"', '"b","refusal":"c"'),
    write('b').replace('"b"', '"b" "c"'),
    write('b').replace('"b"', '"b\\"'),
    write('b').replace('"b"', '"'),
    '[DONE]',
    '',
  ]) {
    assert.equal(pattern.match(chunk), null, chunk)
  }
})

test('a text that writes like a field does not mislead', () => {
  const text = '","content":"x'
  const pattern = learned(write(text), text)
  assert.equal(pattern.match(write('y')), 'y')
  // Two fields of the name: which of them is meant is not known.
  const chunk = write('a', { logprobs: { content: 'b' } })
  assert.equal(learned(chunk, 'a').match(chunk), null)
})

test('white space around the text is kept out of it', () => {
  const chunk = '{"choices": [{"delta": {"content": "a"}}]}'
  assert.equal(learned(chunk, 'a').match(chunk.replace('"a"', '"b c"')), 'b c')
})
