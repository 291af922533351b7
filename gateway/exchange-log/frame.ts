// How a record lies in a segment file: its length, its checksum, its bytes.
//
//   length   uint32, little endian, bytes of the payload
//   checksum uint32, little endian, CRC-32 of the payload (ISO 3309, as zlib computes it)
//   payload
//
// A process may die in the middle of a write: what is cut off at the end of a file is told apart from what is wrong in
// the middle of one.
//
// Knows: bytes. Does not know: files, what a payload means.

import { crc32 } from 'node:zlib'

export const FRAME_HEAD_BYTES = 8
/** No record is longer: bodies are bounded far below. A length beyond it is not a length. */
const MAX_PAYLOAD_BYTES = 1 << 30

/** @returns the frame, in memory of its own */
export function encodeFrame(payload: string): Buffer {
  const length = Buffer.byteLength(payload)
  const frame = Buffer.allocUnsafe(FRAME_HEAD_BYTES + length)
  frame.writeUInt32LE(length, 0)
  frame.write(payload, FRAME_HEAD_BYTES)
  frame.writeUInt32LE(crc32(frame.subarray(FRAME_HEAD_BYTES)), 4)
  return frame
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
    if (length > MAX_PAYLOAD_BYTES) return ended('damaged', 0)
    const end = at + FRAME_HEAD_BYTES + length
    if (end > bytes.length) return ended('part', end - at)
    const payload = bytes.subarray(at + FRAME_HEAD_BYTES, end)
    if (crc32(payload) !== bytes.readUInt32LE(at + 4)) return ended('damaged', 0)
    payloads.push(payload)
    at = end
  }
  return ended('nothing', 0)

  function ended(rest: Frames['rest'], neededBytes: number): Frames {
    return { payloads, byteLength: at, rest, neededBytes }
  }
}
