// A cursor over the header of a GGUF file that believes no length it reads.
//
// The header is read in pieces as the cursor moves on. Whatever a damaged file claims, a string or
// a list is compared with the bytes that are left before anything is allocated, and the values of
// all lists together are bounded; so the worst that a bad file can cost is reading it once.
//
// Knows: GGUF's primitive types. Does not know: what the values mean.

import { readSync } from 'node:fs'

import { CheckpointError } from './checkpoint.ts'

export type MetadataValue = string | number | bigint | boolean | MetadataValue[]

// Published vocabularies have up to 260 thousand tokens, with as many scores and types and twice
// the merges.
const MOST_LIST_VALUES = 2 ** 24
// The longest strings in published files are chat templates of some ten thousand bytes.
const MOST_STRING_BYTES = 2 ** 24
// The format allows lists of lists; nobody writes them deeper than two.
const MOST_NESTING = 4

const PIECE_BYTES = 2 ** 20

/** Bytes that a value of each type takes at least; numbers are those of `enum gguf_type`. */
const TYPE_BYTES = [1, 1, 2, 2, 4, 4, 4, 1, 8, 12, 8, 8, 8]
const STRING_TYPE = 8
const LIST_TYPE = 9

export class GgufCursor {
  readonly #fd: number
  readonly #path: string
  readonly #size: number
  readonly #decoder = new TextDecoder()
  #piece = Buffer.alloc(0)
  /** where in the file the piece starts, and where in the piece the cursor is */
  #pieceStart = 0
  #at = 0
  #listValues = 0

  constructor(fd: number, path: string, size: number) {
    this.#fd = fd
    this.#path = path
    this.#size = size
  }

  /** from the start of the file */
  get position(): number {
    return this.#pieceStart + this.#at
  }

  get left(): number {
    return this.#size - this.position
  }

  uint32(what: string): number {
    return this.#take(4, what).readUInt32LE()
  }

  /** A 64-bit size or offset that a file of this length can mean. */
  count(what: string): number {
    const value = this.#take(8, what).readBigUInt64LE()
    if (value > BigInt(Number.MAX_SAFE_INTEGER)) {
      throw this.#error(`${what} is ${value}, more than any file holds`)
    }
    return Number(value)
  }

  /** @throws CheckpointError where so many things of at least that many bytes can't follow */
  countOf(what: string, leastBytes: number): number {
    const count = this.count(`the number of ${what}`)
    if (count * leastBytes > this.left) {
      throw this.#error(
        `it claims ${count} ${what} at byte ${this.position}, and only ${this.left} bytes follow`,
      )
    }
    return count
  }

  string(what: string): string {
    const length = this.count(`the length of ${what}`)
    if (length > Math.min(MOST_STRING_BYTES, this.left)) {
      throw this.#error(
        `${what} claims ${length} bytes at byte ${this.position}; ${this.left} follow and ${MOST_STRING_BYTES} are allowed`,
      )
    }
    return this.#decoder.decode(this.#take(length, what))
  }

  value(type: number, what: string, depth = 0): MetadataValue {
    switch (type) {
      case 0:
        return this.#take(1, what).readUInt8()
      case 1:
        return this.#take(1, what).readInt8()
      case 2:
        return this.#take(2, what).readUInt16LE()
      case 3:
        return this.#take(2, what).readInt16LE()
      case 4:
        return this.#take(4, what).readUInt32LE()
      case 5:
        return this.#take(4, what).readInt32LE()
      case 6:
        return this.#take(4, what).readFloatLE()
      case 7:
        return this.#take(1, what).readUInt8() !== 0
      case STRING_TYPE:
        return this.string(what)
      case LIST_TYPE:
        return this.#list(what, depth)
      case 10:
        return narrow(this.#take(8, what).readBigUInt64LE())
      case 11:
        return narrow(this.#take(8, what).readBigInt64LE())
      case 12:
        return this.#take(8, what).readDoubleLE()
      default:
        throw this.#error(
          `${what} is of type ${type}; GGUF's types are 0 to ${TYPE_BYTES.length - 1}`,
        )
    }
  }

  #list(what: string, depth: number): MetadataValue[] {
    if (depth >= MOST_NESTING) throw this.#error(`${what} has lists deeper than ${MOST_NESTING}`)
    const type = this.uint32(`the element type of ${what}`)
    const count = this.countOf(`values of ${what}`, TYPE_BYTES[type] ?? 1)
    this.#listValues += count
    if (this.#listValues > MOST_LIST_VALUES) {
      throw this.#error(`${what} brings the values of all lists above ${MOST_LIST_VALUES}`)
    }
    const values: MetadataValue[] = []
    for (let i = 0; i < count; i++) values.push(this.value(type, what, depth + 1))
    return values
  }

  #take(length: number, what: string): Buffer {
    if (this.#at + length > this.#piece.length) this.#refill(length, what)
    const bytes = this.#piece.subarray(this.#at, this.#at + length)
    this.#at += length
    return bytes
  }

  #refill(length: number, what: string): void {
    const start = this.position
    if (length > this.#size - start) {
      throw this.#error(
        `${what} takes ${length} bytes from byte ${start} on, and the file ends at ${this.#size}`,
      )
    }
    const piece = Buffer.allocUnsafe(Math.min(Math.max(length, PIECE_BYTES), this.#size - start))
    let done = 0
    while (done < piece.length) {
      const bytesRead = readSync(this.#fd, piece, done, piece.length - done, start + done)
      if (bytesRead === 0) throw this.#error('it became shorter while it was read')
      done += bytesRead
    }
    this.#piece = piece
    this.#pieceStart = start
    this.#at = 0
  }

  #error(problem: string): CheckpointError {
    return new CheckpointError(`${this.#path} is damaged or cut off: ${problem}`)
  }
}

function narrow(value: bigint): number | bigint {
  const number = Number(value)
  return Number.isSafeInteger(number) ? number : value
}
