// Brings a model into the store: fetches its source, makes a version of it, publishes it.
//
// This is where the library (models/) and the graph builder (runtime/) meet; neither knows the other. Whatever goes wrong
// in between, nothing is left in the store: a version is there when it is published, and not before.

import { rm } from 'node:fs/promises'

import type { AdapterRecord, Precision } from '../models/manifest.ts'
import type { RegisteredSource } from '../models/registry.ts'
import { fetchSource } from '../models/sources/fetch.ts'
import { SourceError } from '../models/sources/fetched.ts'
import type { FetchedSource, FetchProgress, SourceSettings } from '../models/sources/fetched.ts'
import type { ModelStore, StoredVersion } from '../models/store.ts'
import { importVersion } from '../runtime/import.ts'
import { baseRecord } from './adapter-base.ts'
import type { WantedBase } from './adapter-base.ts'
import type { Progress } from './progress.ts'

export interface ImporterDeps {
  store: ModelStore
  cacheDir: string
  settings: SourceSettings
  threads: number
  signal: AbortSignal
  onProgress(progress: Progress): void
}

export interface WantedImport extends RegisteredSource {
  name: string
  /** used where neither checkpoint nor source names one */
  licence: string | null
  precision: Precision
  /** import it again also where the same content was imported at this precision */
  isForced: boolean
  /** the source is a LoRA adapter, to be merged into this */
  base?: WantedBase | null
}

/** @returns the version, and whether it is new or was there already */
export async function importModel(
  wanted: WantedImport,
  deps: ImporterDeps,
): Promise<{ version: StoredVersion; isNew: boolean }> {
  const { store, threads, signal, onProgress } = deps
  const { name, precision } = wanted
  const { path, licence, ...source } = await fetchFrom(wanted, deps, Boolean(wanted.base))
  const base = wanted.base ? await fetchBase(wanted.base, deps) : null
  if (!wanted.isForced) {
    const same = await store.findSame(name, source.sha256, precision, base?.record.source.sha256)
    if (same) return { version: same, isNew: false }
  }
  const folder = await store.createStaging(name)
  try {
    const draft = await importVersion({
      path: base?.path ?? path,
      ...(base && { adapter: { path, base: base.record } }),
      folder,
      model: name,
      precision,
      source,
      licence: wanted.licence ?? licence ?? base?.licence ?? null,
      threads,
      signal,
      onProgress: (fraction) => onProgress({ phase: 'convert', item: name, fraction }),
    })
    return { version: await store.publish(folder, draft, signal), isNew: true }
  } finally {
    // After publishing there is nothing of that name any more.
    await rm(folder, { recursive: true, force: true })
  }
}

interface FetchedBase {
  path: string
  licence: string | null
  record: AdapterRecord['base']
}

/** @throws SourceError with every source's reason, where none works */
async function fetchBase(wanted: WantedBase, deps: ImporterDeps): Promise<FetchedBase> {
  const reasons: string[] = []
  for (const source of wanted.sources) {
    try {
      const { path, licence, ...origin } = await fetchFrom(source, deps, false)
      return { path, licence, record: baseRecord(wanted, origin) }
    } catch (error) {
      deps.signal.throwIfAborted()
      reasons.push(error instanceof Error ? error.message : String(error))
    }
  }
  throw new SourceError(`The base can't be had: ${reasons.join('; ')}`)
}

function fetchFrom(
  { source, pins }: RegisteredSource,
  { cacheDir, settings, signal, onProgress }: ImporterDeps,
  isAdapter: boolean,
): Promise<FetchedSource> {
  return fetchSource(source, {
    content: isAdapter ? 'adapter' : 'checkpoint',
    cacheDir,
    settings,
    pins,
    signal,
    onProgress: (progress) => onProgress(ofFetch(progress)),
  })
}

function ofFetch({ phase, item, bytes, totalBytes }: FetchProgress): Progress {
  return { phase, item, fraction: totalBytes ? bytes / totalBytes : null, bytes }
}
