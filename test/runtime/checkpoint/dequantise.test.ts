// Each element type of GGUF against floats that ggml's own Python package (gguf, quants.dequantize)
// made from the same random blocks: quantised-blocks.json.

import assert from 'node:assert/strict'
import { readFile } from 'node:fs/promises'
import { test } from 'node:test'

import { blockOf, dequantise, isReadable } from '../../../runtime/checkpoint/dequantise.ts'
import { halfValues, widenBfloat } from '../../../runtime/checkpoint/narrow-floats.ts'

const fixture = new URL('quantised-blocks.json', import.meta.url)
const blocks: Record<string, { bytes: string; floats: string }> = JSON.parse(
  await readFile(fixture, 'utf8'),
)
const halves = halfValues()

for (const [type, { bytes, floats }] of Object.entries(blocks)) {
  test(`${type} blocks become exactly the floats of the reference`, () => {
    assert.ok(isReadable(type))
    const source = decode(bytes)
    const expected = new Float32Array(decode(floats))
    assert.equal(
      (source.byteLength / blockOf(type).blockBytes) * blockOf(type).blockValues,
      expected.length,
    )
    assert.deepEqual(dequantise(type, source, halves), expected)
  })
}

test('every half-precision pattern has its value', () => {
  const known: [bits: number, value: number][] = [
    [0x0000, 0],
    [0x0001, 2 ** -24],
    [0x03ff, 1023 * 2 ** -24],
    [0x0400, 2 ** -14],
    [0x3555, 0.333251953125],
    [0x3c00, 1],
    [0xc000, -2],
    [0x7bff, 65504],
    [0x7c00, Infinity],
    [0xfc00, -Infinity],
  ]
  for (const [bits, value] of known) assert.equal(halves[bits], value, bits.toString(16))
  assert.ok(Number.isNaN(halves[0x7e00]))
  assert.ok(Object.is(halves[0x8000], -0))
  // Finite patterns of one sign are in the order of their values.
  for (let bits = 1; bits <= 0x7bff; bits++) assert.ok(halves[bits]! > halves[bits - 1]!)
})

test('F32, F16 and BF16 tensors keep every value', () => {
  const values = Float32Array.of(1, -0.5, 3.25, 0)
  assert.deepEqual(dequantise('F32', values.slice().buffer, halves), values)
  const half = Uint16Array.of(0x3c00, 0xb800, 0x4280, 0)
  assert.deepEqual(dequantise('F16', half.buffer, halves), values)
  const upper = Uint16Array.of(0x3f80, 0xbf00, 0x4050, 0)
  assert.deepEqual(dequantise('BF16', upper.buffer, halves), values)
  assert.deepEqual(widenBfloat(Uint16Array.of(0xff80)), Float32Array.of(-Infinity))
})

function decode(base64: string): ArrayBuffer {
  return new Uint8Array(Buffer.from(base64, 'base64')).buffer
}
