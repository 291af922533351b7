// Brings a model into the store: fetches its source, makes a version of it, publishes it.
//
// This is where the library (models/) and the graph builder (runtime/) meet; neither knows the other. Whatever goes wrong
// in between, nothing is left in the store: a version is there when it is published, and not before.

import { rm } from 'node:fs/promises'

import type { Precision } from '../models/manifest.ts'
import type { RegisteredSource } from '../models/registry.ts'
import { fetchSource } from '../models/sources/fetch.ts'
import type { FetchProgress, SourceSettings } from '../models/sources/fetched.ts'
import type { ModelStore, StoredVersion } from '../models/store.ts'
import { importVersion } from '../runtime/import.ts'
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
}

/** @returns the version, and whether it is new or was there already */
export async function importModel(
  wanted: WantedImport,
  { store, cacheDir, settings, threads, signal, onProgress }: ImporterDeps,
): Promise<{ version: StoredVersion; isNew: boolean }> {
  const { name, precision, pins } = wanted
  const { path, licence, ...source } = await fetchSource(wanted.source, {
    cacheDir,
    settings,
    pins,
    signal,
    onProgress: (progress) => onProgress(ofFetch(progress)),
  })
  if (!wanted.isForced) {
    const same = await store.findSame(name, source.sha256, precision)
    if (same) return { version: same, isNew: false }
  }
  const folder = await store.createStaging(name)
  try {
    const draft = await importVersion({
      path,
      folder,
      model: name,
      precision,
      source,
      licence: wanted.licence ?? licence,
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

function ofFetch({ phase, item, bytes, totalBytes }: FetchProgress): Progress {
  return { phase, item, fraction: totalBytes ? bytes / totalBytes : null, bytes }
}
