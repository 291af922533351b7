// Turns float matrices into the integers that quantised kernels read.
//
// Knows: numbers. Does not know: which layer a matrix belongs to, ONNX.

/** int8 values laid out [columns, rows] (transposed for MatMulIntegerToFloat), one scale for each row of the matrix. */
export interface RowQuantised {
  values: Int8Array
  scales: Float32Array
}

/**
 * Symmetric int8, one scale for each row (output feature) of a row-major [rows, columns] matrix: w ≈ scale · q,
 * |q| ≤ 127.
 */
export function quantiseRows(matrix: Float32Array, rows: number, columns: number): RowQuantised {
  const values = new Int8Array(rows * columns)
  const scales = new Float32Array(rows)
  for (let row = 0; row < rows; row++) {
    const start = row * columns
    let largest = 0
    for (let i = start; i < start + columns; i++) largest = Math.max(largest, Math.abs(matrix[i]!))
    const scale = largest / 127 || 1
    scales[row] = scale
    const inverse = 1 / scale
    for (let column = 0; column < columns; column++) {
      values[column * rows + row] = Math.round(matrix[start + column]! * inverse)
    }
  }
  return { values, scales }
}

/** Unsigned integers in blocks along a row, as MatMulNBits and GatherBlockQuantized read them. */
export interface BlockQuantised {
  /** [rows, columns · bits / 8]; of two 4-bit values in a byte the first is the low one */
  values: Uint8Array
  /** [rows, columns / block] */
  scales: Float32Array
}

/** Columns of a block: the smallest that the int8 kernels take, and what GGUF's 4- and 8-bit types use. */
export const BLOCK = 32

/**
 * Symmetric 8 bits in blocks of a row-major [rows, columns] matrix: w ≈ scale · (q − 128), where the kernels imply the
 * 128.
 */
export function quantiseBlocks8(
  matrix: Float32Array,
  rows: number,
  columns: number,
): BlockQuantised {
  const values = new Uint8Array(rows * columns)
  const scales = new Float32Array((rows * columns) / BLOCK)
  for (let index = 0; index < scales.length; index++) {
    const start = index * BLOCK
    let largest = 0
    for (let i = start; i < start + BLOCK; i++) largest = Math.max(largest, Math.abs(matrix[i]!))
    const scale = largest / 127 || 1
    scales[index] = scale
    for (let i = start; i < start + BLOCK; i++) values[i] = Math.round(matrix[i]! / scale) + 128
  }
  return { values, scales }
}

export interface AffineBlocks extends BlockQuantised {
  /** [columns / block, rows]: what a block adds for each unit of its inputs' sum */
  offsets: Float32Array
}

// Spans tried for a block: the largest value is that many steps above the smallest. 15 is the whole range of 4 bits; the
// others find the exact grid of weights that were 4-bit numbers before and happen not to use both ends of it.
const SPANS = [15, 14, 13, 12, 11, 10, 9, 8, 7]

/**
 * Affine 4 bits in blocks of a row-major [rows, columns] matrix: w ≈ scale · (q − 8) + offset, where the kernels imply
 * the 8. A block's own offset is what symmetric blocks lack: on SmolLM2-135M they cost 17 % of perplexity. The kernel's
 * zero points are whole numbers and can't hold it, so the graph adds offset · Σx in blocks (linear.ts).
 */
export function quantiseBlocks4(matrix: Float32Array, rows: number, columns: number): AffineBlocks {
  const values = new Uint8Array((rows * columns) / 2)
  const perRow = columns / BLOCK
  const scales = new Float32Array(rows * perRow)
  const offsets = new Float32Array(rows * perRow)
  for (let index = 0; index < scales.length; index++) {
    const start = index * BLOCK
    const { scale, lowest } = fitBlock(matrix, start)
    scales[index] = scale
    offsets[(index % perRow) * rows + Math.floor(index / perRow)] = lowest + 8 * scale
    for (let i = start; i < start + BLOCK; i++) {
      const level = Math.min(15, Math.round((matrix[i]! - lowest) / scale))
      values[i >> 1]! |= i & 1 ? level << 4 : level
    }
  }
  return { values, scales, offsets }
}

function fitBlock(matrix: Float32Array, start: number): { scale: number; lowest: number } {
  let lowest = Infinity
  let highest = -Infinity
  for (let i = start; i < start + BLOCK; i++) {
    lowest = Math.min(lowest, matrix[i]!)
    highest = Math.max(highest, matrix[i]!)
  }
  const range = highest - lowest
  if (range === 0) return { scale: 1, lowest }
  let best = range / SPANS[0]!
  let least = Infinity
  for (const span of SPANS) {
    const scale = range / span
    let error = 0
    for (let i = start; i < start + BLOCK; i++) {
      const steps = (matrix[i]! - lowest) / scale
      const difference = (steps - Math.round(steps)) * scale
      error += difference * difference
    }
    if (error < least) {
      least = error
      best = scale
    }
    // the grid is found when what remains is rounding of the float32 values
    if (error < (range * 1e-5) ** 2) break
  }
  return { scale: best, lowest }
}

/** A row-major [rows, columns] matrix as [columns, rows]. */
export function transpose(matrix: Float32Array, rows: number, columns: number): Float32Array {
  const result = new Float32Array(matrix.length)
  for (let row = 0; row < rows; row++) {
    for (let column = 0; column < columns; column++) {
      result[column * rows + row] = matrix[row * columns + column]!
    }
  }
  return result
}
