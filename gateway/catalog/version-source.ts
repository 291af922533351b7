// What deployments may name: folders of the library, and versions that upstreams answer, of which the catalog knows.
//
// It is asked by requests, so a folder is never looked up in the tables, and what was read of an upstream's version, of which
// only the price can change, is believed while it is read again.
//
// Knows: the store, the table of versions. Does not know: what is deployed.

import { LRUCache } from 'lru-cache'

import { findVersion, listVersions } from '../db/catalog-versions.ts'
import { splitReference } from '../../models/store.ts'
import type { CatalogVersion } from '../db/catalog-versions.ts'
import type { Pool } from '../db/pool.ts'
import type { VersionSource } from '../deployments/version-source.ts'
import type { ModelStore } from '../../models/store.ts'

type Found = Awaited<ReturnType<VersionSource['find']>>

const MAX_KNOWN = 10_000
const BELIEVED_MS = 5_000
/** newest versions among which one is looked for that is ready */
const MAX_LOOKED_AT = 1_000

/** @param folders of which the local ones are */
export function catalogVersions(
  pool: Pool,
  store: Pick<ModelStore, 'resolve'>,
  folders: VersionSource,
): VersionSource {
  const known = new LRUCache<string, { found: Found; readAt: number }>({ max: MAX_KNOWN })
  /** One at a time of each: while PostgreSQL is away, every request would add another that waits. */
  const reading = new Set<string>()
  const read = async (id: string): Promise<Found> => {
    const version = await findVersion(pool, id)
    const found = version && upstreamOf(version)
    known.set(id, { found, readAt: performance.now() })
    return found
  }

  const readAgain = async (id: string): Promise<void> => {
    if (reading.has(id)) return
    reading.add(id)
    try {
      await read(id)
    } catch {
      // What can't be read again now stays as it was.
    } finally {
      reading.delete(id)
    }
  }

  return {
    async find(id) {
      const folder = await folders.find(id)
      if (folder || splitReference(id).version === null) return folder
      const last = known.get(id)
      if (!last?.found) return read(id)
      if (performance.now() - last.readAt > BELIEVED_MS) void readAgain(id)
      return last.found
    },
    listModels: () => folders.listModels(),
    async newestOf(model) {
      const newest = await folders.newestOf(model)
      // What was imported a moment ago is not in the catalog yet.
      if (newest === null || !(await isHeldBack(pool, newest))) return newest
      const filter = { states: ['ready'] as const, before: null, limit: MAX_LOOKED_AT }
      const { rows } = await listVersions(pool, model, filter)
      for (const { id, kind } of rows) {
        if (kind === 'local' && (await store.resolve(id))) return id
      }
      return null
    },
  }
}

/** It is registered, and not ready. */
async function isHeldBack(pool: Pool, id: string): Promise<boolean> {
  const version = await findVersion(pool, id)
  return version !== null && version.state !== 'ready'
}

function upstreamOf({ state, upstream, asks, price, createdAt }: CatalogVersion): Found {
  if (upstream === null || asks === null || state === 'deleted') return null
  return {
    kind: 'upstream',
    upstream,
    asks,
    price: price && {
      input: price.input,
      output: price.output,
      ...(price.cached_input !== undefined && { cachedInput: price.cached_input }),
      ...(price.second !== undefined && { second: price.second }),
    },
    created: createdAt.toISOString(),
  }
}
