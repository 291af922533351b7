// Reads of an ONNX file what has to be known before it is run: inputs and outputs with their types and shapes, the operators
// in it, and the files that hold its weights.
//
// The field numbers are those of onnx.proto3. Weights are skipped, and nothing in the file is believed to be of the length
// that it claims. Graphs within nodes (`If`) count as part of the whole.
//
// Knows: protobuf and ONNX's messages. Does not know: what the graph is for.

import { readFile } from 'node:fs/promises'

export interface GraphPort {
  name: string
  type: PortType
  /** a name or '' where the extent is only known when it is run */
  shape: (number | string)[]
}

type PortType = 'f32' | 'f16' | 'i32' | 'i64' | 'bool' | 'other'

export interface GraphOutline {
  inputs: GraphPort[]
  outputs: GraphPort[]
  /** `domain:Operator`; ONNX's own domain is empty */
  operators: Set<string>
  /** as the file names them */
  dataFiles: Set<string>
  /** elements of all weights that are named in it */
  parameters: number
}

/** Not an ONNX file, or a damaged one. */
class OnnxFormatError extends Error {
  override name = 'OnnxFormatError'
}

const TYPES = new Map<number, PortType>([
  [1, 'f32'],
  [6, 'i32'],
  [7, 'i64'],
  [9, 'bool'],
  [10, 'f16'],
])
// `If` in a loop in a function: real files nest two or three deep.
const MOST_DEPTH = 8

/** @throws OnnxFormatError */
export async function readGraphOutline(path: string): Promise<GraphOutline> {
  const outline: GraphOutline = {
    inputs: [],
    outputs: [],
    operators: new Set(),
    dataFiles: new Set(),
    parameters: 0,
  }
  const bytes = await readFile(path)
  const graph = fields(bytes, path).find(({ field }) => field === 7)
  if (!graph) throw new OnnxFormatError(`${path} is not an ONNX model: it holds no graph`)
  readGraph(message(graph, path), outline, path, 0)
  return outline
}

function readGraph(bytes: Buffer, outline: GraphOutline, path: string, depth: number): void {
  if (depth > MOST_DEPTH)
    throw new OnnxFormatError(`${path} nests graphs more than ${MOST_DEPTH} deep`)
  const initial = new Set<string>()
  const inputs: GraphPort[] = []
  for (const part of fields(bytes, path)) {
    if (part.field === 1) readNode(message(part, path), outline, path, depth)
    else if (part.field === 5) initial.add(readTensor(message(part, path), outline, path))
    else if (part.field === 11) inputs.push(readPort(message(part, path), path))
    else if (part.field === 12 && depth === 0) {
      outline.outputs.push(readPort(message(part, path), path))
    }
  }
  // Older files list weights among the inputs.
  if (depth === 0) outline.inputs.push(...inputs.filter(({ name }) => !initial.has(name)))
}

function readNode(bytes: Buffer, outline: GraphOutline, path: string, depth: number): void {
  const parts = fields(bytes, path)
  outline.operators.add(`${textOf(parts, 7, path)}:${textOf(parts, 4, path)}`)
  for (const part of parts) {
    if (part.field !== 5) continue
    for (const inner of fields(message(part, path), path)) {
      if (inner.field === 5) readTensor(message(inner, path), outline, path)
      else if (inner.field === 6 || inner.field === 11) {
        readGraph(message(inner, path), outline, path, depth + 1)
      }
    }
  }
}

/** @returns the tensor's name */
function readTensor(bytes: Buffer, outline: GraphOutline, path: string): string {
  const parts = fields(bytes, path)
  let elements = 1
  for (const part of parts) {
    if (part.field === 1) for (const extent of numbers(part, path)) elements *= extent
    if (part.field !== 13) continue
    const entry = fields(message(part, path), path)
    if (textOf(entry, 1, path) === 'location') outline.dataFiles.add(textOf(entry, 2, path))
  }
  outline.parameters += elements
  return textOf(parts, 8, path)
}

function readPort(bytes: Buffer, path: string): GraphPort {
  const parts = fields(bytes, path)
  const tensor = inner(inner(parts, 2, path), 1, path)
  const shape = inner(tensor, 2, path)
    .filter(({ field }) => field === 1)
    .map((part) => {
      const extent = fields(message(part, path), path)
      const value = extent.find(({ field }) => field === 1)?.value
      return typeof value === 'number' ? value : textOf(extent, 2, path)
    })
  const type = tensor.find(({ field }) => field === 1)?.value
  return {
    name: textOf(parts, 1, path),
    type: (typeof type === 'number' && TYPES.get(type)) || 'other',
    shape,
  }
}

// Protobuf's wire format: a key (field number and wire type), then the value.

interface Field {
  field: number
  value: number | Buffer
}

function fields(bytes: Buffer, path: string): Field[] {
  const found: Field[] = []
  let at = 0
  const varint = (): number => {
    let value = 0
    for (let shift = 0; shift < 70; shift += 7) {
      const byte = bytes[at++]
      if (byte === undefined) break
      value += (byte & 127) * 2 ** shift
      if (byte < 128) return value
    }
    throw new OnnxFormatError(`${path} is not an ONNX model, or is cut off`)
  }
  while (at < bytes.length) {
    const key = varint()
    const [field, wire] = [Math.floor(key / 8), key % 8]
    if (wire === 0) {
      found.push({ field, value: varint() })
      continue
    }
    const length = wire === 2 ? varint() : wire === 5 ? 4 : wire === 1 ? 8 : NaN
    if (!(at + length <= bytes.length)) {
      throw new OnnxFormatError(`${path} is not an ONNX model, or is cut off`)
    }
    found.push({ field, value: bytes.subarray(at, at + length) })
    at += length
  }
  return found
}

function message({ field, value }: Field, path: string): Buffer {
  if (typeof value !== 'number') return value
  throw new OnnxFormatError(`${path} is damaged: field ${field} is a number where a message is due`)
}

function inner(parts: Field[], field: number, path: string): Field[] {
  const part = parts.find((candidate) => candidate.field === field)
  return part ? fields(message(part, path), path) : []
}

const textOf = (parts: Field[], field: number, path: string): string => {
  const part = parts.find((candidate) => candidate.field === field)
  return part ? message(part, path).toString('utf8') : ''
}

/** Repeated whole numbers come one by one or packed. */
function numbers({ value }: Field, path: string): number[] {
  if (typeof value === 'number') return [value]
  const packed: number[] = []
  let rest = 0
  let shift = 0
  for (const byte of value) {
    rest += (byte & 127) * 2 ** shift
    shift += 7
    if (byte > 127) continue
    packed.push(rest)
    rest = 0
    shift = 0
  }
  if (shift > 0) throw new OnnxFormatError(`${path} is damaged: a list of numbers is cut off`)
  return packed
}
