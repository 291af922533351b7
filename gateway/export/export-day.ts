// One day of exchanges as files at a destination: `exchanges/day=2026-11-20/part-0000.parquet`, and a manifest.
//
// Files are bounded in rows and bytes, so that whoever reads them, and whoever goes on after a failure, does it by file.
// Each is made on this machine first: its digest has to be known before it is sent.
//
// Knows: days, files, manifests. Does not know: which days are due.

import { createHash } from 'node:crypto'
import { open, rm } from 'node:fs/promises'
import type { FileHandle } from 'node:fs/promises'
import { join } from 'node:path'

import { createEncoder } from './encoder.ts'
import { MANIFEST_NAME, Totals } from './manifest.ts'
import { openWorkshop } from './workshop.ts'
import { EVERYTHING } from '../db/exchange-fields.ts'
import { readPages } from '../db/export-pages.ts'
import type { Destination } from './destination.ts'
import type { FormatOptions } from './encoder.ts'
import type { AskedFilter, Manifest, ManifestFile } from './manifest.ts'
import type { Encoder } from './format.ts'
import type { ExchangeFilter } from '../db/exchange-fields.ts'
import type { ExportRow } from '../db/export-columns.ts'
import type { Queryable } from '../db/pool.ts'

export interface DayOptions extends FormatOptions {
  db: Queryable
  destination: Destination
  /** days since 1970, UTC */
  day: number
  filter?: ExchangeFilter
  /** the same as it was asked for */
  asked?: AskedFilter
  /** not all of the day, but from here on */
  from?: Date
  /** not all of the day, but up to here */
  to?: Date
  /** asked before anything is written there; whoever throws leaves what is in force there as it is */
  mayWrite?: () => Promise<void>
  fileRows?: number
  fileBytes?: number
}

const DAY_MS = 24 * 60 * 60_000
/** some 20 MB without texts */
const FILE_ROWS = 500_000
/** with texts; a row group is the least that can be added */
const FILE_BYTES = 256 * 1024 * 1024

/** `2026-11-20` @param day since 1970, UTC */
function dateOf(day: number): string {
  return new Date(day * DAY_MS).toISOString().slice(0, 10)
}

function folderOf(day: number): string {
  return `exchanges/day=${dateOf(day)}`
}

/** @throws SyntaxError where somebody else wrote it */
export async function readManifest(
  destination: Destination,
  day: number,
): Promise<Manifest | null> {
  const text = await destination.read(`${folderOf(day)}/${MANIFEST_NAME}`)
  return text === null ? null : (JSON.parse(text) as Manifest)
}

/** @returns the manifest that is in force now */
export async function exportDay(options: DayOptions): Promise<Manifest> {
  const { db, destination, day, format, withBodies, filter = EVERYTHING, asked = {} } = options
  const from = new Date(Math.max(day * DAY_MS, options.from?.getTime() ?? 0))
  const to = new Date(Math.min((day + 1) * DAY_MS, options.to?.getTime() ?? Infinity))
  const folder = folderOf(day)
  const old = await readManifest(destination, day)
  const generation = (old?.generation ?? 0) + 1

  const totals = new Totals()
  const workshop = await openWorkshop(destination.workshop)
  await using files = new DayFiles(options, { folder, generation, workshop })
  const pages = { filter: { ...filter, from, to }, after: null, withBodies, limit: null }
  for await (const page of readPages(db, pages)) {
    totals.add(page)
    await files.add(page)
  }
  const manifest: Manifest = {
    object: 'export.day',
    day: dateOf(day),
    generation,
    exported_at: new Date().toISOString(),
    format,
    with_bodies: withBodies,
    from: from.toISOString(),
    to: to.toISOString(),
    filter: asked,
    rows: totals.rows,
    first_id: totals.firstId,
    last_id: totals.lastId,
    prompt_tokens: totals.promptTokens,
    cached_tokens: totals.cachedTokens,
    completion_tokens: totals.completionTokens,
    cost_usd: totals.costUsd,
    files: await files.finish(),
    // Those of before that as well: whoever wrote that manifest may have ended before it could delete them.
    replaces: old ? [...old.files.map(({ name }) => name), ...old.replaces] : [],
  }
  await options.mayWrite?.()
  await destination.write(`${folder}/${MANIFEST_NAME}`, `${JSON.stringify(manifest, null, 2)}\n`)
  for (const name of manifest.replaces) await destination.remove(`${folder}/${name}`)
  return manifest
}

interface Place {
  /** at the destination */
  folder: string
  generation: number
  /** on this machine, for nobody else */
  workshop: string
}

interface OpenFile {
  path: string
  handle: FileHandle
  encoder: Encoder
  hash: ReturnType<typeof createHash>
  rows: number
  bytes: number
  firstId: string
  lastId: string
}

/** The files of one day, one after the other: made in a folder of their own, put as soon as they are whole. */
class DayFiles implements AsyncDisposable {
  readonly #options: DayOptions
  readonly #place: Place
  readonly #done: ManifestFile[] = []
  #file: OpenFile | null = null

  constructor(options: DayOptions, place: Place) {
    this.#options = options
    this.#place = place
  }

  async add(rows: ExportRow[]): Promise<void> {
    const { fileRows = FILE_ROWS, fileBytes = FILE_BYTES } = this.#options
    const isFull =
      this.#file !== null &&
      (this.#file.rows + rows.length > fileRows || this.#file.bytes >= fileBytes)
    if (isFull) await this.#close()
    const file = (this.#file ??= await this.#begin(rows[0]!.id))
    file.rows += rows.length
    file.lastId = rows.at(-1)!.id
    await write(file, file.encoder.encode(rows))
  }

  async finish(): Promise<ManifestFile[]> {
    await this.#close()
    return this.#done
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#file?.handle.close()
    await rm(this.#place.workshop, { recursive: true, force: true })
  }

  async #begin(firstId: string): Promise<OpenFile> {
    const path = join(this.#place.workshop, 'part')
    return {
      path,
      handle: await open(path, 'w'),
      encoder: createEncoder(this.#options, false),
      hash: createHash('sha256'),
      rows: 0,
      bytes: 0,
      firstId,
      lastId: firstId,
    }
  }

  async #close(): Promise<void> {
    const file = this.#file
    if (!file) return
    const { path, rows, firstId, lastId } = file
    await write(file, file.encoder.end({ rows, lastId, hasMore: false }))
    this.#file = null
    await file.handle.close()
    const sha256 = file.hash.digest('hex')
    const name = this.#nameOf(this.#done.length)
    const { bytes } = file
    await this.#options.mayWrite?.()
    await this.#options.destination.put(`${this.#place.folder}/${name}`, { path, bytes, sha256 })
    this.#done.push({ name, rows, bytes, sha256, first_id: firstId, last_id: lastId })
  }

  /** `part-0000.parquet`, in later generations `part-0000-g2.parquet`: no file is ever overwritten while it is read. */
  #nameOf(index: number): string {
    const { generation } = this.#place
    const suffix = generation > 1 ? `-g${generation}` : ''
    return `part-${String(index).padStart(4, '0')}${suffix}.${this.#options.format}`
  }
}

async function write(file: OpenFile, bytes: Uint8Array): Promise<void> {
  if (bytes.length === 0) return
  file.hash.update(bytes)
  file.bytes += bytes.length
  await file.handle.writeFile(bytes)
}
