// One file of the spool: a first frame that says what the others are, and records behind it.
//
// Records are appended by a synchronous write: when it returns they are the kernel's, and outlive this process. They are
// read back by whoever drains the spool, in the order in which they came.
//
// Knows: one file. Does not know: other segments, what records mean, PostgreSQL.

import { closeSync, ftruncateSync, openSync, writeSync } from 'node:fs'
import { open, rename, rm } from 'node:fs/promises'
import type { FileHandle } from 'node:fs/promises'

import { encodeFrame, FRAME_HEAD_BYTES, readFrames } from './frame.ts'

/** Where reading a segment stopped, and why. */
export interface Piece {
  /** what the file's records are, as its first frame says */
  heading: string
  payloads: Buffer[]
  /** bytes of the file behind these payloads' frames */
  end: number
  /** the file goes on with something that is no record; where nothing was read and this isn't so, it ends in part of one */
  isDamaged: boolean
}

export class Segment {
  readonly path: string
  /** another process wrote it */
  readonly isFound: boolean
  /** bytes that are whole records */
  size: number
  /** bytes that were drained */
  drained = 0
  #descriptor: number | null
  #heading: string | null

  private constructor(
    path: string,
    size: number,
    descriptor: number | null,
    heading: string | null,
  ) {
    this.path = path
    this.isFound = descriptor === null
    this.size = size
    this.#descriptor = descriptor
    this.#heading = heading
  }

  /** @throws where the file can't be made */
  static create(path: string, heading: string): Segment {
    const descriptor = openSync(path, 'wx', 0o600)
    const segment = new Segment(path, 0, descriptor, heading)
    if (!segment.append(encodeFrame(heading))) {
      segment.seal()
      throw new Error(`There is no room for ${path}.`)
    }
    segment.drained = segment.size
    return segment
  }

  /** One that another process left. */
  static found(path: string, size: number): Segment {
    return new Segment(path, size, null, null)
  }

  get isSealed(): boolean {
    return this.#descriptor === null
  }

  get isDrained(): boolean {
    return this.drained >= this.size
  }

  /** @returns false where the disk has no room; the file is as it was then */
  append(frame: Buffer): boolean {
    if (this.#descriptor === null)
      throw new Error('A sealed segment takes no records. This is a bug.')
    let written = 0
    try {
      while (written < frame.length) {
        // Where the last whole record ends, and not behind a part of one that the disk had no room for.
        const at = this.size + written
        written += writeSync(this.#descriptor, frame, written, frame.length - written, at)
      }
    } catch {
      if (written > 0) ftruncateSync(this.#descriptor, this.size)
      return false
    }
    this.size += frame.length
    return true
  }

  seal(): void {
    if (this.#descriptor !== null) closeSync(this.#descriptor)
    this.#descriptor = null
  }

  /**
   * Reads on from where it was drained; what is read counts as drained when the caller says so.
   * @param memory to read into, as much as fits, unless a single record is longer; payloads are views of it
   */
  async read(memory: Buffer, mostRecords: number): Promise<Piece> {
    const file = await open(this.path, 'r')
    try {
      const heading = (this.#heading ??= await this.#readHeading(file))
      const from = this.drained
      const read = (into: Buffer) => readAt(file, from, into.subarray(0, this.size - from))
      let frames = readFrames(await read(memory), mostRecords)
      if (frames.payloads.length === 0 && frames.neededBytes > memory.length) {
        frames = readFrames(await read(Buffer.allocUnsafe(frames.neededBytes)), mostRecords)
      }
      const { payloads, byteLength, rest } = frames
      const end = from + byteLength
      return { heading, payloads, end, isDamaged: rest === 'damaged' }
    } finally {
      await file.close()
    }
  }

  async remove(): Promise<void> {
    this.seal()
    await rm(this.path, { force: true })
  }

  /** Out of the way, and still there for whoever wants to look at it. */
  async setAside(path: string): Promise<void> {
    this.seal()
    await rename(this.path, path)
  }

  /** Of a file that was found: '' where it has none that is whole. */
  async #readHeading(file: FileHandle): Promise<string> {
    const head = await readAt(file, 0, Buffer.allocUnsafe(Math.min(FRAME_HEAD_BYTES, this.size)))
    const length = head.length < FRAME_HEAD_BYTES ? 0 : head.readUInt32LE(0)
    const { payloads, byteLength } = readFrames(
      await readAt(
        file,
        0,
        Buffer.allocUnsafe(Math.min(FRAME_HEAD_BYTES + length, MAX_HEADING_BYTES, this.size)),
      ),
      1,
    )
    this.drained = Math.max(this.drained, byteLength)
    return payloads[0]?.toString() ?? ''
  }
}

const MAX_HEADING_BYTES = 64 * 1024

async function readAt(file: FileHandle, position: number, bytes: Buffer): Promise<Buffer> {
  let read = 0
  while (read < bytes.length) {
    const { bytesRead } = await file.read(bytes, read, bytes.length - read, position + read)
    if (bytesRead === 0) break
    read += bytesRead
  }
  return bytes.subarray(0, read)
}
