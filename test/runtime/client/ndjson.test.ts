import assert from 'node:assert/strict'
import { test } from 'node:test'

import { MalformedLine, NdjsonReader } from '../../../runtime/client/ndjson.ts'

function read(chunks: Buffer[]): { values: unknown[]; isWithinLine: boolean } {
  const reader = new NdjsonReader()
  const values: unknown[] = []
  for (const chunk of chunks) reader.read(chunk, (value) => values.push(value))
  return { values, isWithinLine: reader.isWithinLine }
}

test('lines are read whole wherever the bytes are cut', () => {
  const values = [{ text: 'né 日本 👩‍🚀' }, { text: '' }, ['\u0000\n', 'ß']]
  const bytes = Buffer.from(values.map((value) => JSON.stringify(value) + '\n').join('\n'))
  for (let cut = 0; cut <= bytes.length; cut++) {
    for (const second of [cut, Math.min(cut + 1, bytes.length), bytes.length]) {
      const chunks = [bytes.subarray(0, cut), bytes.subarray(cut, second), bytes.subarray(second)]
      assert.deepEqual(read(chunks), { values, isWithinLine: false })
    }
  }
  const single = Array.from(bytes, (_, i) => bytes.subarray(i, i + 1))
  assert.deepEqual(read(single).values, values)
})

test('a line that is not complete is not a value', () => {
  assert.deepEqual(read([Buffer.from('{"a":1}\n{"b"')]), { values: [{ a: 1 }], isWithinLine: true })
})

test('a line that is not JSON or never ends is refused', () => {
  assert.throws(() => read([Buffer.from('{"a":1}\n<html>\n')]), {
    name: 'MalformedLine',
    message: 'a line that is not JSON: <html>',
  })
  const megabyte = Buffer.alloc(1024 * 1024, 'a')
  assert.throws(() => read(Array(129).fill(megabyte)), MalformedLine)
})
