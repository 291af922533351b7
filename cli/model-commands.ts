// What `headrace models import` and `headrace models ensure` do.

import { join } from 'node:path'

import { ensureModel, readWanted } from '../models/ensure.ts'
import type { EnsureDeps, EnsuredModel, WantedModel } from '../models/ensure.ts'
import type { Precision } from '../models/manifest.ts'
import { readRegistry } from '../models/registry.ts'
import { defaultName, parseSource } from '../models/sources.ts'
import { SourceError, sourceSettings } from '../models/sources/fetched.ts'
import type { ModelStore } from '../models/store.ts'
import { readBase } from './adapter-base.ts'
import { importModel } from './importer.ts'
import type { ImporterDeps, WantedImport } from './importer.ts'
import { runInterruptible } from './interruptible.ts'
import { openStore } from './model-listing.ts'
import type { ModelsCommandDeps } from './models.ts'
import { createReporter } from './progress.ts'
import type { ProgressMode, Reporter } from './progress.ts'

export interface ImportOptions {
  name?: string
  precision: Precision
  force?: boolean
  base?: string
  adapter?: boolean
  progress?: ProgressMode
}

export interface EnsureOptions {
  precision: Precision
  orBundled?: boolean
  progress?: ProgressMode
}

export async function importCommand(
  text: string,
  options: ImportOptions,
  deps: ModelsCommandDeps,
): Promise<void> {
  const store = openStore(deps)
  const reporter = createReporter(options.progress ?? null, deps)
  await runInterruptible(reporter, deps, async (signal) => {
    const registry = await readRegistry()
    const registered = registry.models.get(text)
    const source = registered ? null : parseSource(text)
    const wanted: WantedModel = {
      name: options.name ?? (source ? defaultName(source) : text),
      isRegistered: registered !== undefined,
      licence: registered?.licence ?? null,
      sources: registered?.sources ?? (source ? [{ source, pins: {} }] : []),
    }
    const base =
      options.base === undefined ? null : await readBase(options.base, { store, registry })
    const { precision, force: isForced = false, adapter: isApart = false } = options
    if (isApart && !base) throw new SourceError('--adapter needs --base: the version it is for')
    const how = { precision, isForced, base, isApart }
    const { onGivenUp, ...bringing } = bringer(deps, store, reporter, signal, how)
    // Of a source that is the only one the error says it all.
    const told = wanted.sources.length > 1 ? { ...bringing, onGivenUp } : bringing
    tell(reporter, await ensureModel(wanted, { ...told, registry }, { isRenewed: true }))
  })
}

export async function ensureCommand(
  text: string,
  options: EnsureOptions,
  deps: ModelsCommandDeps,
): Promise<void> {
  const store = openStore(deps)
  const reporter = createReporter(options.progress ?? null, deps)
  await runInterruptible(reporter, deps, async (signal) => {
    const registry = await readRegistry()
    const wanted = await readWanted(text, { store, registry })
    const { precision } = options
    const how = { precision, isForced: false, base: null }
    const bringing = bringer(deps, store, reporter, signal, how)
    const ensured = await ensureModel(wanted, { ...bringing, registry }, options)
    if (ensured.how === 'substituted') {
      reporter.note(
        `${wanted.name} could not be brought here. ${ensured.version.id}, the small model that comes with ` +
          'Headrace, stands in for it: it only knows about Headrace.',
      )
    }
    tell(reporter, ensured)
  })
}

/** What ensureModel needs of a command: an importer that reports, and a note for each source that fails. */
function bringer(
  { dataDir, env, threads }: ModelsCommandDeps,
  store: ModelStore,
  reporter: Reporter,
  signal: AbortSignal,
  how: Pick<WantedImport, 'precision' | 'isForced' | 'base' | 'isApart'>,
): Omit<EnsureDeps, 'registry'> {
  const importer: ImporterDeps = {
    store,
    cacheDir: join(dataDir, 'cache'),
    settings: sourceSettings(env),
    threads,
    signal,
    onProgress: (progress) => reporter.progress(progress),
  }
  return {
    store,
    signal,
    onGivenUp: ({ source, reason }) => reporter.note(`Given up: ${source}: ${reason}`),
    bring: (wanted) => importModel({ ...wanted, ...how }, importer),
  }
}

function tell(reporter: Reporter, { version, how }: EnsuredModel) {
  const { id, folder, manifest } = version
  const text =
    how === 'present'
      ? `${id} is there already, at ${manifest.precision} (${folder})`
      : `${id} is imported (${folder})`
  reporter.done({ type: 'done', version: id, folder, how }, text)
}
