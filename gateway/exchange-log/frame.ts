// How a record lies in a segment file: its length, its checksum, its bytes.
//
//   length   uint32, little endian, bytes of the payload
//   checksum uint32, little endian, CRC-32 of the payload (ISO 3309, as zlib computes it)
//   check    uint32, little endian, of the two before it
//   payload
//
// A process may die in the middle of a write: what is cut off at the end of a file is told apart from what is wrong in
// the middle of one. That is what the check is for: a length that isn't one must not make the rest of a file look like
// the beginning of a long record.
//
// Knows: bytes. Does not know: files, what a payload means.

import { crc32 } from 'node:zlib'

export const FRAME_HEAD_BYTES = 12
/** any number but zero: a file that a file system filled with zeros is no file of empty records */
const CHECK = 0x48524c47

const checkOf = (length: number, checksum: number) => (length ^ checksum ^ CHECK) >>> 0

/** Most records fit; memory that is used again and again costs nothing to be given. */
const scratch = Buffer.allocUnsafe(256 * 1024)
/** of UTF-8, for a unit of UTF-16 */
const MOST_BYTES_PER_UNIT = 3

/** @returns the frame, good until the next call */
export function encodeFrame(payload: string): Buffer {
  return encodeTexts([payload])
}

/** @returns the frames one behind the other, good until the next call */
export function encodeTexts(payloads: readonly string[]): Buffer {
  let most = 0
  for (const { length } of payloads) most += FRAME_HEAD_BYTES + MOST_BYTES_PER_UNIT * length
  const memory = most <= scratch.length ? scratch : Buffer.allocUnsafe(most)
  let end = 0
  for (const payload of payloads) {
    const at = end
    end += FRAME_HEAD_BYTES
    end += memory.write(payload, end)
    writeHead(memory.subarray(at), memory.subarray(at + FRAME_HEAD_BYTES, end))
  }
  return memory.subarray(0, end)
}

/** Several at once, as a segment file holds them. */
export function encodeFrames(payloads: readonly Buffer[]): Buffer {
  const parts = payloads.flatMap((payload) => {
    const head = Buffer.allocUnsafe(FRAME_HEAD_BYTES)
    writeHead(head, payload)
    return [head, payload]
  })
  return Buffer.concat(parts)
}

function writeHead(memory: Buffer, payload: Buffer): void {
  const checksum = crc32(payload)
  memory.writeUInt32LE(payload.length, 0)
  memory.writeUInt32LE(checksum, 4)
  memory.writeUInt32LE(checkOf(payload.length, checksum), 8)
}

export interface Frames {
  /** views of the bytes that were given */
  payloads: Buffer[]
  /** of the frames of those payloads */
  byteLength: number
  /** what comes after them: nothing, a frame that isn't all there, or bytes that are no frame */
  rest: 'nothing' | 'part' | 'damaged'
  /** of the frame that is in part there; 0 where its head isn't */
  neededBytes: number
}

/** Reads as many whole frames as there are, at most `mostFrames`. */
export function readFrames(bytes: Buffer, mostFrames = Infinity): Frames {
  const payloads: Buffer[] = []
  let at = 0
  while (at < bytes.length && payloads.length < mostFrames) {
    if (bytes.length - at < FRAME_HEAD_BYTES) return ended('part', 0)
    const length = bytes.readUInt32LE(at)
    const checksum = bytes.readUInt32LE(at + 4)
    if (bytes.readUInt32LE(at + 8) !== checkOf(length, checksum)) return ended('damaged', 0)
    const end = at + FRAME_HEAD_BYTES + length
    if (end > bytes.length) return ended('part', end - at)
    const payload = bytes.subarray(at + FRAME_HEAD_BYTES, end)
    if (crc32(payload) !== checksum) return ended('damaged', 0)
    payloads.push(payload)
    at = end
  }
  return ended('nothing', 0)

  function ended(rest: Frames['rest'], neededBytes: number): Frames {
    return { payloads, byteLength: at, rest, neededBytes }
  }
}
