// Writes ONNX models: the few messages of its protobuf schema that a decoder graph needs, and a file of weights.
//
// Weights go to an external data file, each tensor on a page of its own, so that ONNX Runtime maps the file instead of
// reading it; the same stretch of it may be named by several tensors (tied weights). The field numbers are those of
// onnx.proto3 (ONNX IR version 10).
//
// Knows: protobuf, nodes, tensors. Does not know: transformers.

import { open, writeFile } from 'node:fs/promises'
import type { FileHandle } from 'node:fs/promises'
import path from 'node:path'

import { PAGE_BYTES } from '../ort/memory.ts'

const TENSOR = { f32: 1, u8: 2, i8: 3, i32: 6, i64: 7, f16: 10 } as const
export type TensorType = keyof typeof TENSOR
export type Shape = (number | string)[]
export type Values =
  Float32Array | Float16Array | Int8Array | Uint8Array | Int32Array | BigInt64Array

/** Attributes: a number is an int unless it is wrapped by `float`. */
export type Attribute = number | string | number[] | { float: number }
export const float = (value: number): Attribute => ({ float: value })

/** Where a tensor's bytes are in the data file. */
export interface Stored {
  offset: number
  bytes: number
}

/** Two graphs over the same weights may be drawn at once: what is in neither form alone is in both. */
export type Form = 'plain' | 'adapted'
interface Part {
  form: Form | null
  bytes: Buffer
}

const MICROSOFT = 'com.microsoft'
const IR_VERSION = 10
const OPSET = 21

export class GraphWriter {
  /** type of what is no integer: weights, scales, activations */
  readonly floats: 'f32' | 'f16'
  readonly #folder: string
  readonly #dataName: string | null
  readonly #data: FileHandle | null
  readonly #nodes: Part[] = []
  readonly #initializers: Buffer[] = []
  readonly #inputs: Part[] = []
  readonly #outputs: Buffer[] = []
  readonly #constants = new Map<string, string>()
  #form: Form | null = null
  #names = 0
  #end = 0

  private constructor(
    folder: string,
    dataName: string | null,
    data: FileHandle | null,
    floats: 'f32' | 'f16',
  ) {
    this.floats = floats
    this.#folder = folder
    this.#dataName = dataName
    this.#data = data
  }

  /** @param dataName of the file of weights; null for a graph without any */
  static async create(
    folder: string,
    dataName: string | null,
    floats: 'f32' | 'f16' = 'f32',
  ): Promise<GraphWriter> {
    const data = dataName === null ? null : await open(path.join(folder, dataName), 'wx')
    return new GraphWriter(folder, dataName, data, floats)
  }

  input(name: string, type: TensorType, shape: Shape): string {
    this.#inputs.push({ form: this.#form, bytes: valueInfo(11, name, type, shape) })
    return name
  }

  output(name: string, type: TensorType, shape: Shape): void {
    this.#outputs.push(valueInfo(12, name, type, shape))
  }

  /** What is drawn meanwhile belongs to one form of the graph only. */
  inForm(form: Form, draw: () => void): void {
    this.#form = form
    draw()
    this.#form = null
  }

  /** Appends a tensor's bytes to the data file. */
  async store(values: Values): Promise<Stored> {
    const offset = Math.ceil(this.#end / PAGE_BYTES) * PAGE_BYTES
    const bytes = Buffer.from(values.buffer, values.byteOffset, values.byteLength)
    if (!this.#data)
      throw new Error('A graph without a data file can store nothing. This is a bug.')
    await this.#data.write(bytes, 0, bytes.length, offset)
    this.#end = offset + bytes.length
    return { offset, bytes: bytes.length }
  }

  /** Names stored bytes as a tensor of the graph. */
  weight(name: string, type: TensorType, shape: number[], stored: Stored): string {
    const location = Object.entries({
      location: this.#dataName ?? '',
      offset: stored.offset,
      length: stored.bytes,
    }).map(([key, value]) => message(13, text(1, key), text(2, String(value))))
    this.#initializers.push(
      message(
        5,
        ...dims(shape),
        varint(2, TENSOR[type]),
        text(8, name),
        ...location,
        varint(14, 1),
      ),
    )
    return name
  }

  /** Stores numbers in the graph's own type and names them as a tensor. @throws RangeError where they are too large for it */
  async weights(name: string, shape: number[], values: Float32Array): Promise<string> {
    const stored = await this.store(this.floats === 'f16' ? halves(name, values) : values)
    return this.weight(name, this.floats, shape, stored)
  }

  /** A small tensor inside the model file; equal ones are written once. */
  constant(type: TensorType, shape: number[], values: Values): string {
    const bytes = Buffer.from(values.buffer, values.byteOffset, values.byteLength)
    const key = `${type}[${shape.join()}]${bytes.toString('base64')}`
    let name = this.#constants.get(key)
    if (name === undefined) {
      name = `const${this.#constants.size}`
      this.#constants.set(key, name)
      this.#initializers.push(
        message(5, ...dims(shape), varint(2, TENSOR[type]), text(8, name), blob(9, bytes)),
      )
    }
    return name
  }

  ints(...values: number[]): string {
    return this.constant('i64', [values.length], BigInt64Array.from(values, BigInt))
  }

  scalar(value: number): string {
    return this.constant('f32', [], new Float32Array([value]))
  }

  /** A node of the standard operators with one output, whose name it gives back. */
  op(
    type: string,
    inputs: string[],
    attributes: Record<string, Attribute> = {},
    output = this.#name(),
  ): string {
    this.#node('', type, inputs, [output], attributes)
    return output
  }

  /** A node of ONNX Runtime's own operators with one output. */
  msOp(
    type: string,
    inputs: string[],
    attributes: Record<string, Attribute> = {},
    output = this.#name(),
  ): string {
    this.#node(MICROSOFT, type, inputs, [output], attributes)
    return output
  }

  /** Either kind with named outputs; an empty name is an output that is not wanted. */
  node(
    domain: '' | typeof MICROSOFT,
    type: string,
    inputs: string[],
    outputs: string[],
    attributes: Record<string, Attribute> = {},
  ): void {
    this.#node(domain, type, inputs, outputs, attributes)
  }

  /**
   * Writes the graph's plain form, after which there is no more to draw.
   * @param graphName what the graph calls itself
   */
  async finish(modelName: string, graphName?: string): Promise<void> {
    await this.#data?.sync()
    await this.#data?.close()
    await this.write(modelName, 'plain', graphName)
  }

  /** Writes one form of what is drawn so far. */
  async write(modelName: string, form: Form, graphName = 'decoder'): Promise<void> {
    const own = (parts: Part[]) =>
      parts.filter((part) => part.form === null || part.form === form).map(({ bytes }) => bytes)
    const graph = message(
      7,
      ...own(this.#nodes),
      text(2, graphName),
      ...this.#initializers,
      ...own(this.#inputs),
      ...this.#outputs,
    )
    const model = Buffer.concat([
      varint(1, IR_VERSION),
      text(2, 'headrace'),
      graph,
      message(8, text(1, ''), varint(2, OPSET)),
      message(8, text(1, MICROSOFT), varint(2, 1)),
    ])
    await writeFile(path.join(this.#folder, modelName), model, { flag: 'wx' })
  }

  async abandon(): Promise<void> {
    await this.#data?.close()
  }

  #name(): string {
    return `t${this.#names++}`
  }

  #node(
    domain: string,
    type: string,
    inputs: string[],
    outputs: string[],
    attributes: Record<string, Attribute>,
  ): void {
    const bytes = message(
      1,
      ...inputs.map((input) => text(1, input)),
      ...outputs.map((output) => text(2, output)),
      text(3, `${type}_${this.#nodes.length}`),
      text(4, type),
      ...Object.entries(attributes).map(([name, value]) => attribute(name, value)),
      text(7, domain),
    )
    this.#nodes.push({ form: this.#form, bytes })
  }
}

function halves(name: string, values: Float32Array): Float16Array {
  const narrow = new Float16Array(values)
  const at = narrow.findIndex(
    (value, index) => !Number.isFinite(value) && Number.isFinite(values[index]),
  )
  if (at < 0) return narrow
  throw new RangeError(`${name} holds ${values[at]}, and half precision ends at 65504`)
}

// Protobuf's wire format: a key (field number and wire type), then the value.

function varintBytes(value: number): Buffer {
  const bytes: number[] = []
  let rest = BigInt.asUintN(64, BigInt(value))
  do {
    const low = Number(rest & 127n)
    rest >>= 7n
    bytes.push(rest ? low | 128 : low)
  } while (rest)
  return Buffer.from(bytes)
}

const VARINT = 0
const LENGTH_DELIMITED = 2
const FIXED32 = 5

const key = (field: number, wire: number) => varintBytes((field << 3) | wire)

function varint(field: number, value: number): Buffer {
  return Buffer.concat([key(field, VARINT), varintBytes(value)])
}

function blob(field: number, bytes: Buffer): Buffer {
  return Buffer.concat([key(field, LENGTH_DELIMITED), varintBytes(bytes.length), bytes])
}

function text(field: number, value: string): Buffer {
  return blob(field, Buffer.from(value))
}

function message(field: number, ...parts: Buffer[]): Buffer {
  return blob(field, Buffer.concat(parts))
}

function fixed32(field: number, value: number): Buffer {
  const bytes = Buffer.alloc(4)
  bytes.writeFloatLE(value)
  return Buffer.concat([key(field, FIXED32), bytes])
}

const dims = (shape: number[]) => shape.map((extent) => varint(1, extent))

function valueInfo(field: number, name: string, type: TensorType, shape: Shape): Buffer {
  const extents = shape.map((extent) =>
    message(1, typeof extent === 'string' ? text(2, extent) : varint(1, extent)),
  )
  const tensor = message(1, varint(1, TENSOR[type]), message(2, ...extents))
  return message(field, text(1, name), message(2, tensor))
}

// AttributeProto.AttributeType: FLOAT 1, INT 2, STRING 3, INTS 7
function attribute(name: string, value: Attribute): Buffer {
  if (typeof value === 'string') return message(5, text(1, name), text(4, value), varint(20, 3))
  if (typeof value === 'number') return message(5, text(1, name), varint(3, value), varint(20, 2))
  if (Array.isArray(value)) {
    return message(5, text(1, name), ...value.map((item) => varint(8, item)), varint(20, 7))
  }
  return message(5, text(1, name), fixed32(2, value.float), varint(20, 1))
}
