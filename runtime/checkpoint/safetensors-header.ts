// The header of a safetensors file: which tensors it holds and where.
//
// Format (huggingface/safetensors, "Format"): 8 bytes little-endian length N; N bytes of JSON, name
// → { dtype, shape, data_offsets: [begin, end] } with offsets counted from the end of the header;
// then the data. Nothing in it is believed before it has been compared with the file's size.

import { CheckpointError } from './checkpoint.ts'
import type { CheckpointFile } from './checkpoint-file.ts'
import { isRecord } from './json-file.ts'

export interface SafetensorsEntry {
  dtype: string
  shape: number[]
  /** from the start of the file */
  begin: number
  bytes: number
}

// The reference implementation refuses longer headers too; the largest published ones have about
// 100 kB.
const MOST_HEADER_BYTES = 100_000_000

const LENGTH_BYTES = 8

/**
 * Types of other widths (F4, F8_E8M0 …) appear in newer files; their size is not checked, and they
 * can't be read.
 */
const DTYPE_BYTES: Record<string, number> = {
  BOOL: 1,
  U8: 1,
  I8: 1,
  F8_E5M2: 1,
  F8_E4M3: 1,
  I16: 2,
  U16: 2,
  F16: 2,
  BF16: 2,
  I32: 4,
  U32: 4,
  F32: 4,
  F64: 8,
  I64: 8,
  U64: 8,
}

/** @throws CheckpointError naming the file, the tensor and what is wrong with it */
export async function readSafetensorsHeader(
  file: CheckpointFile,
): Promise<Map<string, SafetensorsEntry>> {
  if (file.size < LENGTH_BYTES) {
    throw new CheckpointError(
      `${file.path} has ${file.size} bytes; a safetensors file starts with the 8 bytes of its header's length`,
    )
  }
  const lengthView = new DataView(await file.read(0, LENGTH_BYTES, 'the length of the header'))
  const headerBytes = Number(lengthView.getBigUint64(0, true))
  if (headerBytes > MOST_HEADER_BYTES || LENGTH_BYTES + headerBytes > file.size) {
    throw new CheckpointError(
      `${file.path} is not a safetensors file or is cut off: its header claims ${headerBytes} bytes, ` +
        `the file has ${file.size} and a header at most ${MOST_HEADER_BYTES}`,
    )
  }
  const header = parseHeader(file.path, await file.read(LENGTH_BYTES, headerBytes, 'the header'))
  const dataStart = LENGTH_BYTES + headerBytes
  const entries = new Map<string, SafetensorsEntry>()
  for (const [name, value] of Object.entries(header)) {
    if (name === '__metadata__') continue
    entries.set(name, checkEntry(file, name, value, dataStart))
  }
  refuseOverlap(file.path, entries)
  return entries
}

function parseHeader(path: string, bytes: ArrayBuffer): Record<string, unknown> {
  let header: unknown
  try {
    header = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes))
  } catch (cause) {
    throw new CheckpointError(`The header of ${path} is not JSON: ${String(cause)}`, { cause })
  }
  if (isRecord(header)) return header
  throw new CheckpointError(`The header of ${path} is not a JSON object`)
}

function checkEntry(
  file: CheckpointFile,
  name: string,
  value: unknown,
  dataStart: number,
): SafetensorsEntry {
  const where = `Tensor ${name} in ${file.path}`
  if (!isRecord(value) || typeof value.dtype !== 'string') {
    throw new CheckpointError(`${where} has no dtype`)
  }
  const { dtype, shape, data_offsets: offsets } = value
  if (!isCounts(shape)) {
    throw new CheckpointError(
      `${where} has the shape ${JSON.stringify(shape)}; allowed is a list of whole numbers`,
    )
  }
  if (!isCounts(offsets) || offsets.length !== 2 || offsets[0]! > offsets[1]!) {
    throw new CheckpointError(
      `${where} has the data_offsets ${JSON.stringify(offsets)}; allowed are two ascending whole numbers`,
    )
  }
  const bytes = offsets[1]! - offsets[0]!
  const begin = dataStart + offsets[0]!
  if (begin + bytes > file.size) {
    throw new CheckpointError(
      `${file.path} is cut off: tensor ${name} ends at byte ${begin + bytes}, the file at ${file.size}`,
    )
  }
  const expected = shape.reduce((product, size) => product * size, DTYPE_BYTES[dtype] ?? NaN)
  if (!Number.isNaN(expected) && expected !== bytes) {
    throw new CheckpointError(
      `${where} has ${bytes} bytes; its shape [${shape.join(', ')}] of ${dtype} takes ${expected}`,
    )
  }
  return { dtype, shape, begin, bytes }
}

function refuseOverlap(path: string, entries: Map<string, SafetensorsEntry>): void {
  const byPosition = [...entries].sort(([, a], [, b]) => a.begin - b.begin)
  for (const [index, [name, entry]] of byPosition.entries()) {
    const next = byPosition[index + 1]
    if (next !== undefined && entry.begin + entry.bytes > next[1].begin) {
      throw new CheckpointError(`Tensors ${name} and ${next[0]} overlap in ${path}`)
    }
  }
}

function isCounts(value: unknown): value is number[] {
  return Array.isArray(value) && value.every((item) => Number.isSafeInteger(item) && item >= 0)
}
