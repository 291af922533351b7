// Opens a Python wheel, which is a zip, and takes files out of it.
//
// A wheel may come from anywhere. One that holds an absolute path, a `..` or a link is refused as a whole, what it says of
// sizes is bounded and held against what comes out, and whoever takes a file out says where it goes: no name of the
// archive ever becomes a path here.
//
// Knows: the archive. Does not know: which of its files are wanted.

import { createWriteStream } from 'node:fs'
import { text } from 'node:stream/consumers'
import { pipeline } from 'node:stream/promises'

import { openPromise } from 'yauzl'
import type { Entry, ZipFile } from 'yauzl'

import { SourceError } from './fetched.ts'

// Far above any real package, far below what would fill memory with a list of names.
const MOST_ENTRIES = 20_000
const MOST_TEXT_BYTES = 1 << 20
// The upper half of a zip's external attributes is the Unix mode where the archive was made on Unix.
const MODE_SHIFT = 16
const FILE_TYPE = 0o170000
const REGULAR = 0o100000
const DIRECTORY = 0o040000

export class Wheel {
  readonly #path: string
  readonly #zip: ZipFile
  readonly #entries: Map<string, Entry>

  private constructor(path: string, zip: ZipFile, entries: Map<string, Entry>) {
    this.#path = path
    this.#zip = zip
    this.#entries = entries
  }

  /** @throws SourceError where it is no zip, is cut off, or holds what it must not */
  static async open(path: string): Promise<Wheel> {
    let zip: ZipFile | null = null
    try {
      zip = await openPromise(path, { autoClose: false, strictFileNames: true })
      if (zip.entryCount > MOST_ENTRIES) {
        throw new Error(`it lists ${zip.entryCount} files, ${MOST_ENTRIES} are allowed`)
      }
      const entries = new Map<string, Entry>()
      for await (const entry of zip.eachEntry()) {
        refuseUnsafe(entry)
        if (entry.fileName.endsWith('/')) continue
        if (entries.has(entry.fileName)) throw new Error(`it holds ${entry.fileName} twice`)
        entries.set(entry.fileName, entry)
      }
      return new Wheel(path, zip, entries)
    } catch (cause) {
      zip?.close()
      throw unusable(path, cause)
    }
  }

  get names(): string[] {
    return [...this.#entries.keys()]
  }

  /** bytes that a file has when it is taken out */
  sizeOf(name: string): number {
    return this.#entry(name).uncompressedSize
  }

  /** @throws SourceError where what comes out is not what the archive says it is */
  async extract(
    name: string,
    path: string,
    options: { signal?: AbortSignal; onBytes?: (bytes: number) => void } = {},
  ): Promise<void> {
    try {
      const stream = await this.#zip.openReadStreamPromise(this.#entry(name))
      let bytes = 0
      stream.on('data', (chunk: Buffer) => options.onBytes?.((bytes += chunk.length)))
      await pipeline(stream, createWriteStream(path, { flags: 'wx' }), { signal: options.signal })
    } catch (cause) {
      options.signal?.throwIfAborted()
      throw unusable(this.#path, cause, name)
    }
  }

  async readText(name: string): Promise<string> {
    const entry = this.#entry(name)
    if (entry.uncompressedSize > MOST_TEXT_BYTES) {
      throw unusable(this.#path, new Error(`it has more than ${MOST_TEXT_BYTES} bytes`), name)
    }
    try {
      return await text(await this.#zip.openReadStreamPromise(entry))
    } catch (cause) {
      throw unusable(this.#path, cause, name)
    }
  }

  close() {
    this.#zip.close()
  }

  #entry(name: string): Entry {
    const entry = this.#entries.get(name)
    if (!entry) throw new Error(`${this.#path} holds no ${name}. This is a bug.`)
    return entry
  }
}

/** Absolute names and `..` are refused by the zip library itself. */
function refuseUnsafe(entry: Entry) {
  const type = (entry.externalFileAttributes >>> MODE_SHIFT) & FILE_TYPE
  if (type !== 0 && type !== REGULAR && type !== DIRECTORY) {
    throw new Error(`${entry.fileName} is a link or a device; only files are allowed`)
  }
  if (entry.isEncrypted()) throw new Error(`${entry.fileName} is encrypted`)
}

function unusable(path: string, cause: unknown, name?: string): SourceError {
  const reason = cause instanceof Error ? cause.message : String(cause)
  return new SourceError(`${path} can't be used: ${name ? `${name}: ` : ''}${reason}`, { cause })
}
