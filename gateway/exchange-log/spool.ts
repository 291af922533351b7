// Records on their way out, in segment files of the data folder: they survive the process that took them.
//
// Records go to the end of the newest segment; whoever drains takes them from the oldest, and says so when they are
// safe elsewhere. Segments are removed when all that is in them was drained. What a process that died left behind is
// drained first. Files are bounded: where there is no room, on the disk or by the bound, a record is not taken.
//
// It holds against the death of a process, not against that of the machine: nothing is flushed to the disk, and a batch
// is in the database a moment later.
//
// Knows: segments. Does not know: what records are, who takes them.

import { statfsSync } from 'node:fs'
import { mkdir, readdir, rm, stat } from 'node:fs/promises'
import { join } from 'node:path'

import { encodeTexts, FRAME_HEAD_BYTES } from './frame.ts'
import { Segment } from './segment.ts'
import type { Piece } from './segment.ts'
import type { Logger } from '../logger.ts'

export interface SpoolOptions {
  /** absolute; nobody else's */
  folder: string
  /** what the records of this release are: told again with each batch */
  heading: string
  /** of all segments together */
  maxBytes: number
  segmentBytes?: number
  logger: Logger
}

export interface Batch {
  heading: string
  payloads: Buffer[]
  /** some of it may have been drained before: another process began, or this one did not hear the end */
  isSuspect: boolean
  /** Its first records are safe elsewhere, and won't be told again. */
  drained(count: number): Promise<void>
}

/** Small enough that little is told twice after a crash, large enough that files are seldom made. */
const SEGMENT_BYTES = 16 * 1024 * 1024
const BATCH_BYTES = 1024 * 1024
/** The newest segment is begun anew when it is drained and larger than this. */
const KEPT_BYTES = 1024 * 1024
const EXTENSION = '.log'
const DAMAGED = '.damaged'
/** Of the disk, is left to others; of the bound, to requests that were taken already. */
const SPARE_BYTES = 64 * 1024 * 1024
const SPARE_SHARE = 0.05
const LOOK_MS = 500

export class Spool {
  readonly #options: Required<SpoolOptions>
  /** oldest first; the last one takes what comes, unless it is sealed */
  readonly #segments: Segment[]
  #next: number
  #drainedRecords = 0
  #appendedRecords = 0
  #lookedMs = -Infinity
  #isDiskFull = false
  #bytes = 0
  #damaged = 0
  /** What batches are read into, one after the other. */
  readonly #memory = Buffer.allocUnsafeSlow(BATCH_BYTES)

  private constructor(options: Required<SpoolOptions>, segments: Segment[], next: number) {
    this.#options = options
    this.#segments = segments
    this.#next = next
    for (const { size } of segments) this.#bytes += size
  }

  /** Finds what was left in the folder. @throws where it can't be used */
  static async open(options: SpoolOptions): Promise<Spool> {
    const { folder, logger } = options
    await mkdir(folder, { recursive: true, mode: 0o700 })
    const names = (await readdir(folder)).filter((name) => name.endsWith(EXTENSION)).sort()
    const segments: Segment[] = []
    for (const name of names) {
      const path = join(folder, name)
      const { size } = await stat(path)
      if (size === 0) await rm(path)
      else segments.push(Segment.found(path, size))
    }
    const last = Number.parseInt(names.at(-1) ?? '0', 10)
    const spool = new Spool({ segmentBytes: SEGMENT_BYTES, ...options }, segments, last + 1)
    if (segments.length > 0) {
      const context = { segments: segments.length, bytes: spool.bytes }
      logger.info(context, 'exchanges of before are written first')
    }
    return spool
  }

  /** bytes on the disk */
  get bytes(): number {
    return this.#bytes
  }

  /** records that this process took and that are not safe elsewhere */
  get pending(): number {
    return this.#appendedRecords - this.#drainedRecords
  }

  /** segments that were set aside, because something in them is no record */
  get damaged(): number {
    return this.#damaged
  }

  /** bytes that wait to be drained */
  get waitingBytes(): number {
    return this.#segments.reduce((sum, { size, drained }) => sum + size - drained, 0)
  }

  get isEmpty(): boolean {
    return this.#segments.every(({ isDrained }) => isDrained)
  }

  /**
   * Whether there is room for more, and for what is under way already: who asks this before a request is taken must still be
   * able to log it when it ends. The disk is looked at now and then.
   * @param bytes that are about to be appended
   */
  hasRoom(bytes = 0): boolean {
    const now = performance.now()
    if (now - this.#lookedMs >= LOOK_MS) {
      this.#lookedMs = now
      this.#isDiskFull = isFull(this.#options.folder)
    }
    const { maxBytes } = this.#options
    const spare = Math.min(SPARE_BYTES, maxBytes * SPARE_SHARE)
    return !this.#isDiskFull && this.#bytes + bytes < maxBytes - spare
  }

  /** @returns false where there is no room; nothing was kept then */
  append(payload: string): boolean {
    return this.#append([payload])
  }

  /** Several in one write. @returns how many were kept; there is no room for those that come behind them */
  appendAll(payloads: readonly string[]): number {
    if (this.#append(payloads)) return payloads.length
    const refused = payloads.findIndex((payload) => !this.append(payload))
    return refused < 0 ? payloads.length : refused
  }

  #append(payloads: readonly string[]): boolean {
    const { maxBytes } = this.#options
    let least = this.#bytes
    for (const { length } of payloads) least += length
    if (least > maxBytes) return false
    const segment = this.#open()
    const frames = encodeTexts(payloads)
    if (this.#bytes + frames.length > maxBytes || !segment?.append(frames)) return false
    this.#bytes += frames.length
    this.#appendedRecords += payloads.length
    return true
  }

  /** What was taken first and isn't drained, in order, good until the next call; null where there is nothing. */
  async next(mostRecords: number): Promise<Batch | null> {
    for (;;) {
      const segment = this.#segments.find(({ isDrained }) => !isDrained)
      if (!segment) return null
      const piece = await segment.read(this.#memory, mostRecords)
      if (piece.payloads.length > 0) return this.#batchOf(segment, piece)
      // Of a file that this process writes nothing is ever there in part.
      if (piece.isDamaged || piece.heading === '' || !segment.isFound) await this.#setAside(segment)
      else await this.#finish(segment)
    }
  }

  /** Nothing is taken any more. What is left is there for the next process. */
  async close(): Promise<void> {
    for (const segment of this.#segments.splice(0)) {
      if (segment.isDrained) await segment.remove()
      else segment.seal()
    }
  }

  /** The segment that takes records. @returns null where none can be made */
  #open(): Segment | null {
    const { folder, heading, segmentBytes } = this.#options
    const last = this.#segments.at(-1)
    if (last && !last.isSealed && last.size < segmentBytes) return last
    last?.seal()
    const name = `${String(this.#next++).padStart(12, '0')}${EXTENSION}`
    try {
      const segment = Segment.create(join(folder, name), heading)
      this.#segments.push(segment)
      this.#bytes += segment.size
      return segment
    } catch {
      return null
    }
  }

  #batchOf(segment: Segment, { heading, payloads, end }: Piece): Batch {
    return {
      heading,
      payloads,
      isSuspect: segment.isFound,
      drained: async (count) => {
        const isAll = count >= payloads.length
        segment.drained = isAll ? end : segment.drained + framedBytes(payloads.slice(0, count))
        if (!segment.isFound) this.#drainedRecords += Math.min(count, payloads.length)
        if (segment.isDrained) await this.#finish(segment)
      },
    }
  }

  /** All of it is safe elsewhere, or was never whole. The newest segment stays while it is small. */
  async #finish(segment: Segment): Promise<void> {
    if (segment.drained < segment.size) {
      const context = { file: segment.path, bytes: segment.size - segment.drained }
      this.#options.logger.warn(
        context,
        'the last exchange of a process that died was not all written',
      )
    } else if (!segment.isSealed && segment.size < KEPT_BYTES) {
      return
    }
    this.#forget(segment)
    await segment.remove()
  }

  async #setAside(segment: Segment): Promise<void> {
    const { logger } = this.#options
    this.#damaged++
    this.#forget(segment)
    const path = segment.path + DAMAGED
    await segment.setAside(path)
    const context = { file: path, good: segment.drained, bytes: segment.size }
    logger.error(
      context,
      'a file of the exchange log is damaged; what came before the damage is written, and the file is set aside',
    )
  }

  #forget(segment: Segment): void {
    const index = this.#segments.indexOf(segment)
    if (index >= 0) this.#segments.splice(index, 1)
    this.#bytes -= segment.size
  }
}

function framedBytes(payloads: Buffer[]): number {
  return payloads.reduce((sum, { length }) => sum + FRAME_HEAD_BYTES + length, 0)
}

/** Whoever else writes to the disk needs room too, the database first of all. */
function isFull(folder: string): boolean {
  const { bsize, bavail, blocks } = statfsSync(folder)
  return bavail * bsize < Math.min(SPARE_BYTES, blocks * bsize * SPARE_SHARE)
}
