// Sees to it that the model a setting names is there: found in the store, or brought from the first source that works.
//
// What a setting may name: an imported model or one version of it, a model of the registry, or any source, with the name
// it is to have or without (`hf:org/repo`, `chat=pip:package==1.0`).
//
// Knows: store, registry, the order of trying. Does not know: how a source is fetched or imported; both are handed in.

import { resolve } from 'node:path'

import { MODEL_NAME } from './manifest.ts'
import type { RegisteredModel, RegisteredSource, Registry } from './registry.ts'
import { defaultName, parseSource } from './sources.ts'
import type { Source } from './sources.ts'
import { SourceError } from './sources/fetched.ts'
import { splitReference } from './store.ts'
import type { ModelStore, StoredVersion } from './store.ts'

export interface EnsureDeps {
  store: ModelStore
  registry: Registry
  /** fetches and imports; where that content is imported already, gives the version that there is */
  bring(wanted: { name: string; licence: string | null } & RegisteredSource): Promise<Brought>
  /** told at once of each source that is given up, so that whoever waits knows why it takes long */
  onGivenUp?: (givenUp: GivenUp) => void
  signal?: AbortSignal
}

interface Brought {
  version: StoredVersion
  /** not so where the same content had been imported already */
  isNew: boolean
}

export interface GivenUp {
  /** as it is written: `hf:org/repo@rev` */
  source: string
  reason: string
}

export interface EnsuredModel {
  version: StoredVersion
  /** there already, imported now, or the bundled model in its place */
  how: 'present' | 'imported' | 'substituted'
  givenUp: GivenUp[]
}

/** What a setting asks for: a model of a name, and where it can be had. */
export interface WantedModel {
  name: string
  /** a model of the registry: whatever was imported under its name answers for it, wherever it came from */
  isRegistered: boolean
  licence: string | null
  /** none: it has to be there */
  sources: RegisteredSource[]
}

/**
 * @param text what the setting says
 * @throws SourceError where it is neither a known model nor a source
 */
export async function readWanted(
  text: string,
  { store, registry }: Pick<EnsureDeps, 'store' | 'registry'>,
): Promise<WantedModel> {
  const registered = registry.models.get(text)
  if (registered) return { ...registered, isRegistered: true }
  const { model } = splitReference(text)
  if (MODEL_NAME.test(model) && (await store.listModels()).includes(model)) {
    await store.get(text)
    return { name: text, isRegistered: false, licence: null, sources: [] }
  }
  const [, name, written] = /^([^=:/\\]+)=(.+)$/.exec(text) ?? [null, null, text]
  if (typeof name === 'string' && !MODEL_NAME.test(name)) {
    throw new SourceError(
      `'${name}' in ${text} can't be a model's name: allowed are lower-case letters, digits, '.', '_' and '-'`,
    )
  }
  const source = parseSource(written ?? text)
  if (source.kind === 'path' && MODEL_NAME.test(model) && !text.includes('.')) {
    // A bare word is far more likely a name misspelt than a folder; a folder can be written ./word.
    const known = [...new Set([...registry.models.keys(), ...(await store.listModels())])]
    throw new SourceError(
      `There is no model '${text}'; known are ${known.join(', ')}, or name a source: ./folder, ` +
        'hf:org/repo, pip:package==version',
    )
  }
  return {
    name: name ?? defaultName(source),
    isRegistered: false,
    licence: null,
    sources: [{ source, pins: {} }],
  }
}

/** The version that answers for what is wanted, where it needs no fetching; null where it does. */
async function findPresent(wanted: WantedModel, store: ModelStore): Promise<StoredVersion | null> {
  const version = await store.resolve(wanted.name)
  if (!version || wanted.sources.length === 0) return version
  const { kind, reference } = version.manifest.source
  // The bundled model may have changed with the program; looking costs milliseconds.
  if (kind === 'bundled') return null
  const isSame = wanted.sources.some(({ source }) => referenceOf(source) === reference)
  return wanted.isRegistered || isSame ? version : null
}

/**
 * @param options.isRenewed bring it also where it is present
 * @param options.orBundled the bundled model stands in where no source works
 * @throws SourceError with every source's reason, where none works
 */
export async function ensureModel(
  wanted: WantedModel,
  deps: EnsureDeps,
  options: { isRenewed?: boolean; orBundled?: boolean },
): Promise<EnsuredModel> {
  const present = options.isRenewed ? null : await findPresent(wanted, deps.store)
  if (present) return { version: present, how: 'present', givenUp: [] }
  const givenUp: GivenUp[] = []
  const brought = await bringFirst(wanted, deps, givenUp)
  if (brought) {
    return { version: brought.version, how: brought.isNew ? 'imported' : 'present', givenUp }
  }
  const { bundled } = deps.registry
  if (options.orBundled && wanted.name !== bundled.name) {
    const standIn = await bringFirst(bundled, deps, givenUp)
    if (standIn) return { version: standIn.version, how: 'substituted', givenUp }
  }
  const reasons = givenUp.map(({ source, reason }) => `${source}: ${reason}`)
  if (reasons.length === 1) throw new SourceError(reasons[0])
  throw new SourceError(`No source of ${wanted.name} works:\n  ${reasons.join('\n  ')}`)
}

async function bringFirst(
  wanted: WantedModel | RegisteredModel,
  { bring, onGivenUp, signal }: EnsureDeps,
  givenUp: GivenUp[],
): Promise<Brought | null> {
  for (const { source, pins } of wanted.sources) {
    try {
      return await bring({ name: wanted.name, licence: wanted.licence, source, pins })
    } catch (error) {
      signal?.throwIfAborted()
      const message = error instanceof Error ? error.message : String(error)
      const { reference } = source
      const one = { source: reference, reason: message.replace(`${reference}: `, '') }
      givenUp.push(one)
      onGivenUp?.(one)
    }
  }
  return null
}

const referenceOf = (source: Source) =>
  source.kind === 'path' ? resolve(source.reference) : source.reference
