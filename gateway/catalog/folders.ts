// What the folders of a library say of its versions, in the catalog's words.
//
// Knows: manifests, sizes of files. Does not know: tables.

import { glanceAtVersion } from '../../models/checksums.ts'
import { splitReference } from '../../models/store.ts'
import { digestOf } from './digest.ts'
import type { VersionOrigin } from '../db/catalog-versions.ts'
import type { BrokenVersion, StoredVersion } from '../../models/store.ts'

export interface FoundVersion {
  id: string
  model: string
  number: number
  /** null: the folder can't be read */
  origin: VersionOrigin | null
  /** of an adapter that was merged; null: it was a checkpoint of its own */
  baseModel: string | null
  /** when it was made; null as well */
  created: Date | null
  /** what is wrong with it, in a sentence; null where nothing is */
  problem: string | null
}

export async function lookAt(folder: StoredVersion | BrokenVersion): Promise<FoundVersion> {
  const { model, version } = splitReference(folder.id)
  const named = { id: folder.id, model, number: Number(version) }
  if ('problem' in folder) {
    return { ...named, origin: null, baseModel: null, created: null, problem: folder.problem }
  }
  const { manifest } = folder
  const sizes = Object.values(manifest.files).map(({ bytes }) => bytes)
  const origin = {
    digest: digestOf(manifest),
    source: manifest.source.reference,
    sourceRevision: manifest.source.revision,
    family: manifest.architecture.family,
    precision: manifest.precision,
    parameters: manifest.parameters,
    contextLength: manifest.contextLength,
    bytes: sizes.reduce((sum, bytes) => sum + bytes, 0),
    licence: manifest.licence,
  }
  const base = 'adapter' in manifest ? manifest.adapter?.base : undefined
  const baseModel = base ? (base.version ?? base.source.reference) : null
  const problem = await glanceAtVersion(folder.folder, manifest)
  return { ...named, origin, baseModel, created: new Date(manifest.created), problem }
}
