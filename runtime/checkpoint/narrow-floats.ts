// Sixteen-bit floats widened to float32.
//
// IEEE 754 half precision goes through a table of all 65536 values: a lookup for each weight, where
// converting bit by bit takes four times as long. bfloat16 is the upper half of a float32 and needs
// a shift. Numbers are little-endian, in the files and on every machine that ONNX Runtime is built
// for.

/**
 * The value of each half-precision bit pattern: sign (1 bit), exponent (5, biased by 15), fraction
 * (10).
 */
export function halfValues(): Float32Array {
  const values = new Float32Array(2 ** 16)
  for (let bits = 0; bits < 2 ** 15; bits++) {
    const exponent = bits >> 10
    const fraction = bits & 0x3ff
    let value = fraction * 2 ** -24
    if (exponent === 31) value = fraction === 0 ? Infinity : NaN
    else if (exponent > 0) value = (1024 + fraction) * 2 ** (exponent - 25)
    values[bits] = value
    values[bits | 0x8000] = -value
  }
  return values
}

export function widenHalf(source: Uint16Array, halves: Float32Array): Float32Array {
  const target = new Float32Array(source.length)
  for (let i = 0; i < source.length; i++) target[i] = halves[source[i]!]!
  return target
}

export function widenBfloat(source: Uint16Array): Float32Array {
  const bits = new Uint32Array(source.length)
  for (let i = 0; i < source.length; i++) bits[i] = source[i]! << 16
  return new Float32Array(bits.buffer)
}
