// Reads version folders: what each holds, or what is wrong with it.
//
// A version is immutable, so it is read once and remembered for as long as its manifest looks the same from outside.
//
// Knows: one folder at a time. Does not know: where folders are, which versions a model has.

import { stat } from 'node:fs/promises'
import { join } from 'node:path'

import { MANIFEST_FILE, ManifestError, readManifest } from './manifest.ts'
import { isMissing } from './work-folders.ts'
import type { Manifest } from './manifest.ts'

export interface StoredVersion {
  /** `model@version` */
  id: string
  folder: string
  manifest: Manifest
}

export interface BrokenVersion {
  id: string
  folder: string
  /** what is wrong with it, in one sentence */
  problem: string
}

export class VersionReader {
  /** by folder; `stamp` changes when the manifest does */
  readonly #known = new Map<string, { stamp: string; outcome: StoredVersion | BrokenVersion }>()
  readonly #onBroken: (version: BrokenVersion) => void

  /** @param onBroken told once of each that can't be used */
  constructor(onBroken: (version: BrokenVersion) => void) {
    this.#onBroken = onBroken
  }

  /** @returns null where there is no such folder */
  async read(
    folder: string,
    model: string,
    version: string,
  ): Promise<StoredVersion | BrokenVersion | null> {
    const stamp = await manifestStamp(folder)
    if (stamp === null) return null
    const known = this.#known.get(folder)
    if (known?.stamp === stamp) return known.outcome
    const outcome = await readVersion(folder, model, version)
    const isNews = this.#known.get(folder)?.stamp !== stamp
    this.#known.set(folder, { stamp, outcome })
    if ('problem' in outcome && isNews) this.#onBroken(outcome)
    return outcome
  }

  forget(folder: string): void {
    this.#known.delete(folder)
  }
}

async function readVersion(
  folder: string,
  model: string,
  version: string,
): Promise<StoredVersion | BrokenVersion> {
  const id = `${model}@${version}`
  try {
    const manifest = await readManifest(folder)
    if (manifest.model === model && manifest.version === version) return { id, folder, manifest }
    const found = `${manifest.model}@${manifest.version}`
    return { id, folder, problem: `${join(folder, MANIFEST_FILE)} is that of ${found}` }
  } catch (error) {
    if (error instanceof ManifestError) return { id, folder, problem: error.message }
    throw error
  }
}

/** @returns null where there is no folder, '' where it has no manifest or none that can be looked at */
async function manifestStamp(folder: string): Promise<string | null> {
  for (const path of [join(folder, MANIFEST_FILE), folder]) {
    try {
      const { mtimeMs, size } = await stat(path)
      return path === folder ? '' : `${mtimeMs} ${size}`
    } catch (error) {
      // A folder that may not be looked into is a broken version, which reading it will say.
      if (!isMissing(error)) return ''
    }
  }
  return null
}
