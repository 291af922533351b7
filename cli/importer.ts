// Brings a model into the store: fetches its source, makes a version of it, publishes it.
//
// This is where the library (models/) and the graph builder (runtime/) meet; neither knows the other. Whatever goes wrong
// in between, nothing is left in the store: a version is there when it is published, and not before.

import { rm } from 'node:fs/promises'

import type { AdapterRecord, ManifestDraft, Precision } from '../models/manifest.ts'
import type { RegisteredSource } from '../models/registry.ts'
import { fetchSource } from '../models/sources/fetch.ts'
import { SourceError } from '../models/sources/fetched.ts'
import type { FetchedSource, FetchProgress, SourceSettings } from '../models/sources/fetched.ts'
import type { ModelStore, StoredVersion } from '../models/store.ts'
import { importAdapter } from '../runtime/import-adapter.ts'
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
  /** the source is a LoRA adapter of this, to be merged into it */
  base?: WantedBase | null
  /** it is not merged, but a version that its base's engine takes in */
  isApart?: boolean
}

interface Brought {
  version: StoredVersion
  isNew: boolean
}

/** @returns the version, and whether it is new or was there already */
export async function importModel(wanted: WantedImport, deps: ImporterDeps): Promise<Brought> {
  const { base } = wanted
  if (!base) return bringOne(wanted, deps, await fetchFrom(wanted, deps, false))
  const fetched = await fetchFrom(wanted, deps, true)
  if (wanted.isApart) return bringApart(wanted, deps, fetched, base.version)
  return bringOne(wanted, deps, fetched, await fetchBase(base, deps))
}

/** A checkpoint, or an adapter with the base that it is merged into. */
function bringOne(
  { name, precision, licence: named, isForced }: WantedImport,
  { store, threads, signal, onProgress }: ImporterDeps,
  { path, licence, ...source }: FetchedSource,
  base?: FetchedBase,
): Promise<Brought> {
  const adapter = base && { form: 'merged' as const, baseSha256: base.record.source.sha256 }
  const same = () => store.findSame(name, source.sha256, precision, adapter)
  return publish(name, { store, signal }, isForced ? null : same, (folder) =>
    importVersion({
      path: base?.path ?? path,
      ...(base && { adapter: { path, base: base.record } }),
      folder,
      model: name,
      precision,
      source,
      licence: named ?? licence ?? base?.licence ?? null,
      threads,
      signal,
      onProgress: (fraction) => onProgress({ phase: 'convert', item: name, fraction }),
    }),
  )
}

/** An adapter that its base's engine takes in beside the base. */
function bringApart(
  { name, licence: named, isForced }: WantedImport,
  { store, signal }: ImporterDeps,
  { path, licence, ...source }: FetchedSource,
  base: StoredVersion | null,
): Promise<Brought> {
  if (!base) {
    throw new SourceError(
      'An adapter that stays apart belongs to a version of the library, and --base names none; import the base first',
    )
  }
  const { precision } = base.manifest
  const adapter = { form: 'resident' as const, baseSha256: base.manifest.source.sha256 }
  const same = async () => {
    const found = await store.findSame(name, source.sha256, precision, adapter)
    return found?.manifest.adapter?.base.version === base.id ? found : null
  }
  return publish(name, { store, signal }, isForced ? null : same, (folder) =>
    importAdapter({ path, folder, model: name, source, licence: named ?? licence, base }),
  )
}

/** Makes a version, unless there is the same already. */
async function publish(
  name: string,
  { store, signal }: Pick<ImporterDeps, 'store' | 'signal'>,
  findSame: (() => Promise<StoredVersion | null>) | null,
  make: (folder: string) => Promise<ManifestDraft>,
): Promise<Brought> {
  const same = await findSame?.()
  if (same) return { version: same, isNew: false }
  const folder = await store.createStaging(name)
  try {
    return { version: await store.publish(folder, await make(folder), signal), isNew: true }
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
