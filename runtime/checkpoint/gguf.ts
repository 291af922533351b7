// A GGUF file: its metadata, and its tensors read and dequantised one at a time.
//
// Format (ggml, docs/gguf.md), versions 2 and 3: magic, version, counts; metadata as key, type,
// value; tensor infos as name, dimensions (fastest first), type, offset; then, aligned, the data
// that offsets count from.
//
// Knows: the container. Does not know: what keys and tensor names mean.

import { CheckpointError } from './checkpoint.ts'
import { CheckpointFile } from './checkpoint-file.ts'
import { blockOf, dequantise, isReadable, TENSOR_TYPES, tensorTypeName } from './dequantise.ts'
import { GgufCursor } from './gguf-cursor.ts'
import type { MetadataValue } from './gguf-cursor.ts'
import { halfValues } from './narrow-floats.ts'
import type { StoredTensor, TensorSource } from './tensor-source.ts'

type Metadata = Map<string, MetadataValue>

export interface GgufFile extends TensorSource {
  path: string
  metadata: Metadata
}

interface GgufTensor extends StoredTensor {
  /** from the start of the data */
  offset: number
}

const MAGIC = 0x46554747 // 'GGUF', read as a little-endian number
const VERSIONS = [2, 3]
const DEFAULT_ALIGNMENT = 32
const MOST_DIMENSIONS = 4
// What the shortest possible entries take: an empty name and a byte; an empty name without
// dimensions.
const LEAST_METADATA_BYTES = 13
const LEAST_TENSOR_BYTES = 24

/** @throws CheckpointError saying what is wrong and at which byte, key or tensor */
export async function openGguf(path: string): Promise<GgufFile> {
  const file = await CheckpointFile.open(path)
  try {
    return await readGguf(file)
  } catch (error) {
    await file.close()
    throw error
  }
}

async function readGguf(file: CheckpointFile): Promise<GgufFile> {
  const cursor = new GgufCursor(file.descriptor, file.path, file.size)
  checkStart(file.path, cursor)
  const tensorCount = cursor.countOf('tensors', LEAST_TENSOR_BYTES)
  const metadataCount = cursor.countOf('metadata entries', LEAST_METADATA_BYTES)
  const metadata = readMetadata(file.path, cursor, metadataCount)
  const alignment = alignmentOf(file.path, metadata)
  const tensors = new Map<string, GgufTensor>()
  for (let i = 0; i < tensorCount; i++) {
    const tensor = readTensorInfo(file.path, cursor)
    if (tensors.has(tensor.name)) {
      throw new CheckpointError(`${file.path} names tensor ${tensor.name} twice`)
    }
    tensors.set(tensor.name, tensor)
  }
  const dataStart = Math.ceil(cursor.position / alignment) * alignment
  for (const tensor of tensors.values()) checkPlace(file, tensor, dataStart, alignment)

  const halves = halfValues()
  return {
    path: file.path,
    metadata,
    tensors,
    supportedTypes: TENSOR_TYPES,
    async read(name) {
      const tensor = tensors.get(name)
      if (tensor === undefined) throw new CheckpointError(`${file.path} holds no tensor ${name}`)
      const { type, shape, offset } = tensor
      if (!isReadable(type)) {
        throw new CheckpointError(
          `Tensor ${name} in ${file.path} is ${type}; supported are ${TENSOR_TYPES.join(', ')}`,
        )
      }
      const { blockValues, blockBytes } = blockOf(type)
      const length = (elements(shape) / blockValues) * blockBytes
      return dequantise(type, await file.read(dataStart + offset, length, `tensor ${name}`), halves)
    },
    close: () => file.close(),
  }
}

function checkStart(path: string, cursor: GgufCursor): void {
  if (cursor.left < 4 || cursor.uint32('the magic number') !== MAGIC) {
    throw new CheckpointError(`${path} is not a GGUF file: it does not start with the bytes GGUF`)
  }
  const version = cursor.uint32('the version')
  if (VERSIONS.includes(version)) return
  // A big-endian file's version has its one byte at the other end.
  const kind = version > 0xffff ? 'a big-endian file or a damaged one' : `version ${version}`
  throw new CheckpointError(
    `${path} is ${kind} of GGUF; supported are little-endian files of version ${VERSIONS.join(' and ')}`,
  )
}

function readMetadata(path: string, cursor: GgufCursor, count: number): Metadata {
  const metadata: Metadata = new Map()
  for (let i = 0; i < count; i++) {
    const key = cursor.string(`metadata key ${i}`)
    if (metadata.has(key)) throw new CheckpointError(`${path} has metadata key ${key} twice`)
    const type = cursor.uint32(`the type of ${key}`)
    metadata.set(key, cursor.value(type, key))
  }
  return metadata
}

function alignmentOf(path: string, metadata: Metadata): number {
  const alignment = metadata.get('general.alignment') ?? DEFAULT_ALIGNMENT
  const isPowerOfTwo =
    typeof alignment === 'number' && alignment > 0 && Number.isInteger(Math.log2(alignment))
  if (isPowerOfTwo) return alignment
  throw new CheckpointError(
    `general.alignment in ${path} is ${String(alignment)}; allowed are powers of two`,
  )
}

function readTensorInfo(path: string, cursor: GgufCursor): GgufTensor {
  const name = cursor.string('the name of a tensor')
  const what = `tensor ${name}`
  const dimensions = cursor.uint32(`the number of dimensions of ${what}`)
  if (dimensions > MOST_DIMENSIONS) {
    throw new CheckpointError(
      `Tensor ${name} in ${path} has ${dimensions} dimensions; GGUF allows ${MOST_DIMENSIONS}`,
    )
  }
  const shape: number[] = []
  for (let i = 0; i < dimensions; i++) shape.unshift(cursor.count(`a dimension of ${what}`))
  const type = tensorTypeName(cursor.uint32(`the type of ${what}`))
  const offset = cursor.count(`the offset of ${what}`)
  return { name, shape, type, offset, file: path }
}

function checkPlace(
  file: CheckpointFile,
  { name, shape, type, offset }: GgufTensor,
  dataStart: number,
  alignment: number,
): void {
  if (offset % alignment !== 0) {
    throw new CheckpointError(
      `Tensor ${name} in ${file.path} starts at ${offset}, which is not a multiple of the alignment ${alignment}`,
    )
  }
  if (!isReadable(type)) return
  const { blockValues, blockBytes } = blockOf(type)
  const rowValues = shape.at(-1) ?? 1
  if (rowValues % blockValues !== 0) {
    throw new CheckpointError(
      `Tensor ${name} in ${file.path} is ${type} with rows of ${rowValues}; they must be multiples of ${blockValues}`,
    )
  }
  const end = dataStart + offset + (elements(shape) / blockValues) * blockBytes
  if (end > file.size) {
    throw new CheckpointError(
      `${file.path} is cut off: tensor ${name} ends at byte ${end}, the file at ${file.size}`,
    )
  }
}

function elements(shape: number[]): number {
  return shape.reduce((product, size) => product * size, 1)
}
