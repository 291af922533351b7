// A checkpoint's file, read by position: only the bytes of one tensor are in memory at a time.
//
// Every read is checked against the size that the file had when it was opened, so that a length
// from a damaged header can neither allocate more than the file holds nor wait for bytes that will
// never come.
//
// Knows: bytes and where they are. Does not know: formats, tensors.

import { open } from 'node:fs/promises'
import type { FileHandle } from 'node:fs/promises'

import { CheckpointError } from './checkpoint.ts'

// One call reads at most 2 GiB on Linux whatever was asked for; a piece below that reads as fast.
const PIECE_BYTES = 2 ** 30

export class CheckpointFile {
  readonly path: string
  readonly size: number
  readonly #handle: FileHandle

  private constructor(path: string, size: number, handle: FileHandle) {
    this.path = path
    this.size = size
    this.#handle = handle
  }

  /** @throws CheckpointError where the file can't be opened */
  static async open(path: string): Promise<CheckpointFile> {
    let handle: FileHandle | undefined
    try {
      handle = await open(path, 'r')
      const stats = await handle.stat()
      if (!stats.isFile()) throw new Error('it is not a file')
      return new CheckpointFile(path, stats.size, handle)
    } catch (cause) {
      await handle?.close()
      throw new CheckpointError(`${path} can't be opened: ${String(cause)}`, { cause })
    }
  }

  /**
   * `length` bytes from `offset` on, at the start of a buffer of their own (so that typed arrays of
   * any width fit).
   * @param what names what is read, for the error
   * @throws CheckpointError where the file ends before
   */
  async read(offset: number, length: number, what: string): Promise<ArrayBuffer> {
    if (offset + length > this.size) {
      throw new CheckpointError(
        `${this.path} is cut off: ${what} ends at byte ${offset + length}, the file at ${this.size}`,
      )
    }
    const bytes = new Uint8Array(length)
    let done = 0
    while (done < length) {
      const piece = Math.min(PIECE_BYTES, length - done)
      const { bytesRead } = await this.#handle.read(bytes, done, piece, offset + done)
      if (bytesRead === 0) {
        throw new CheckpointError(
          `${this.path} became shorter while ${what} was read: ${done} of ${length} bytes came`,
        )
      }
      done += bytesRead
    }
    return bytes.buffer
  }

  /** For a header whose length is not known before it is parsed. */
  get descriptor(): number {
    return this.#handle.fd
  }

  async close(): Promise<void> {
    await this.#handle.close()
  }
}
