// Brings one file over HTTP, however often the connection breaks.
//
// Bytes go to `<file>.part`; a transfer that was cut, now or in an earlier run, goes on where it ended (Range). Only what
// has the right size and sum gets the file's name, so a file that is there is whole.
//
// Knows: one address, one file, its sum. Does not know: whose file it is.

import { createHash } from 'node:crypto'
import { createReadStream } from 'node:fs'
import { open, rename, rm, stat } from 'node:fs/promises'
import { basename } from 'node:path'

import type { Response } from 'undici'

import { sha256File } from '../checksums.ts'
import { isMissing } from '../work-folders.ts'
import { SourceError } from './fetched.ts'
import type { SourceSettings } from './fetched.ts'
import { brokenOff, isStall } from './http.ts'
import type { Http } from './http.ts'

export interface WantedFile {
  url: string
  /** where it is to lie */
  path: string
  bytes: number
  /** sha256 of the content, or git's own sum of a file that it keeps itself */
  sum: { kind: 'sha256' | 'git'; hex: string }
}

// A cut that comes after some progress costs nothing but a new request; three in a row without a byte between them are no
// accident.
const FRUITLESS_TRIES = 3

/**
 * @param onBytes told how many bytes of the file are here
 * @throws SourceError where it can't be had or isn't what it should be
 */
export async function downloadFile(
  http: Http,
  wanted: WantedFile,
  options: {
    settings: SourceSettings
    signal?: AbortSignal
    onBytes?: (bytes: number) => void
  },
): Promise<void> {
  if ((await sizeOf(wanted.path)) === wanted.bytes) {
    options.onBytes?.(wanted.bytes)
    return
  }
  const part = `${wanted.path}.part`
  if ((await sizeOf(part)) > wanted.bytes) await rm(part)
  let fruitless = 0
  for (;;) {
    const before = await sizeOf(part)
    if (before >= wanted.bytes && (await exists(part))) break
    const cut = await transfer(http, wanted, part, before, options)
    if (cut === null) continue
    const bytes = await sizeOf(part)
    fruitless = bytes > before ? 0 : fruitless + 1
    if (fruitless === FRUITLESS_TRIES || isStall(cut)) {
      throw new SourceError(
        `${basename(wanted.path)} broke off after ${bytes} of ${wanted.bytes} bytes: ${brokenOff(cut, options.settings)}`,
        { cause: cut },
      )
    }
  }
  await ensureSum(part, wanted, options.signal)
  await rename(part, wanted.path)
}

/** @returns what ended the transfer too early; null where all bytes came */
async function transfer(
  http: Http,
  wanted: WantedFile,
  part: string,
  from: number,
  { signal, onBytes }: { signal?: AbortSignal; onBytes?: (bytes: number) => void },
): Promise<unknown> {
  // Packed on the way, sizes and ranges would be those of the packed form.
  const headers: Record<string, string> = { 'accept-encoding': 'identity' }
  if (from > 0) headers.range = `bytes=${from}-`
  const response = await http.get(wanted.url, { headers, signal })
  const isContinued = response.status === 206 && startOf(response) === from
  let bytes = isContinued ? from : 0
  const file = await open(part, isContinued ? 'a' : 'w')
  try {
    for await (const chunk of response.body ?? []) {
      bytes += chunk.length
      if (bytes > wanted.bytes) {
        throw new SourceError(
          `${basename(wanted.path)} is longer than the ${wanted.bytes} bytes that were announced`,
        )
      }
      await file.write(chunk)
      onBytes?.(bytes)
    }
  } catch (error) {
    signal?.throwIfAborted()
    if (error instanceof SourceError) throw error
    return error
  } finally {
    await file.close()
  }
  return bytes === wanted.bytes ? null : new Error(`the answer ended after ${bytes} bytes`)
}

async function ensureSum(part: string, wanted: WantedFile, signal?: AbortSignal): Promise<void> {
  const { kind, hex } = wanted.sum
  const found =
    kind === 'sha256' ? await sha256File(part, { signal }) : await gitSum(part, wanted.bytes)
  if (found === hex) return
  // Nothing of it can be trusted: going on from here would only end here again.
  await rm(part)
  const name = kind === 'sha256' ? 'sha256' : "git's sum"
  throw new SourceError(
    `${basename(wanted.path)} arrived damaged: ${name} is ${found}, the hub says ${hex}; it was thrown away`,
  )
}

/** The name that git gives to a file's content: SHA-1 over a header and the bytes. */
async function gitSum(path: string, bytes: number): Promise<string> {
  const hash = createHash('sha1').update(`blob ${bytes}\0`)
  for await (const chunk of createReadStream(path)) hash.update(chunk)
  return hash.digest('hex')
}

/** First byte of a 206 answer's `content-range: bytes 5-9/10`. */
function startOf(response: Response): number {
  return Number(/^bytes (\d+)-/.exec(response.headers.get('content-range') ?? '')?.[1] ?? NaN)
}

/** 0 where there is none */
async function sizeOf(path: string): Promise<number> {
  try {
    return (await stat(path)).size
  } catch (error) {
    if (isMissing(error)) return 0
    throw error
  }
}

async function exists(path: string): Promise<boolean> {
  try {
    await stat(path)
    return true
  } catch (error) {
    if (isMissing(error)) return false
    throw error
  }
}
