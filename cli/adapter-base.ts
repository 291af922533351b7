// What `--base` names: the checkpoint that an adapter was trained on, as a version of the library, a name of the registry or
// a source.
//
// A version folder holds a graph, not the weights that it was made of; those are fetched again from where the version came
// from, and have to be the same to the byte.
//
// Knows: where a base comes from. Does not know: how it is fetched, what an adapter is.

import type { AdapterRecord, ManifestSource } from '../models/manifest.ts'
import type { RegisteredSource, Registry } from '../models/registry.ts'
import { parseSource } from '../models/sources.ts'
import { SourceError } from '../models/sources/fetched.ts'
import { splitReference } from '../models/store.ts'
import type { ModelStore, StoredVersion } from '../models/store.ts'

export interface WantedBase {
  /** where it is one of the library's */
  version: StoredVersion | null
  /** tried in this order */
  sources: RegisteredSource[]
}

/** @throws SourceError, StoreError where there is no such base, or no adapter can be put onto it */
export async function readBase(
  text: string,
  { store, registry }: { store: ModelStore; registry: Registry },
): Promise<WantedBase> {
  if ((await store.listModels()).includes(splitReference(text).model)) {
    const version = await store.get(text)
    const { id, manifest } = version
    const { source, adapter } = manifest
    if (adapter) {
      throw new SourceError(
        `${id} has an adapter in it already; name what that was made of: ${adapter.base.source.reference}`,
      )
    }
    return { version, sources: [sourceOf(source)] }
  }
  const registered = registry.models.get(text)
  if (registered) return { version: null, sources: registered.sources }
  return { version: null, sources: [{ source: parseSource(text), pins: {} }] }
}

/** @throws SourceError where the base is not what the version was made of */
export function baseRecord(wanted: WantedBase, source: ManifestSource): AdapterRecord['base'] {
  const { version } = wanted
  const sha256 = version?.manifest.source.sha256
  if (version && sha256 !== source.sha256) {
    throw new SourceError(
      `${source.reference} is not what ${version.id} was made of any more: its sha256 is ${source.sha256}, then it was ${sha256}`,
    )
  }
  return { version: version?.id ?? null, source }
}

/** A branch may have moved since; the commit that was taken has not. */
function sourceOf({ kind, reference, revision }: ManifestSource): RegisteredSource {
  const isHub = kind === 'hf' && revision !== null
  const text = isHub ? `${reference.replace(/@[^@]*$/, '')}@${revision}` : reference
  return { source: parseSource(text), pins: {} }
}
