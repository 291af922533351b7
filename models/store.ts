// The version folders of a data directory: `<data dir>/models/<model>/<number>/`.
//
// A version appears all at once or not at all: it is made in `models/.staging/` and renamed into place, and from then on
// only read. Numbers count up and are never given twice, also when a version was removed (`.removed-<number>` stays) or has
// no folder (`.reserved-<number>`), so that an id in a log always means the same thing. A folder that can't be read is
// reported and passed over.
//
// Knows: folders, names, numbers. Does not know: what is in a graph, where versions come from, which one is live.

import { chmod, mkdir, open, rename, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'

import { hashVersionFiles } from './checksums.ts'
import { MANIFEST_FILE, MODEL_NAME, namedFiles, VERSION_NUMBER, writeManifest } from './manifest.ts'
import type { AdapterRecord, Manifest, ManifestDraft } from './manifest.ts'
import { VersionReader } from './version-reader.ts'
import type { BrokenVersion, StoredVersion } from './version-reader.ts'
import { createWorkFolder, namesIn, sweepWorkFolders } from './work-folders.ts'

export type { BrokenVersion, StoredVersion } from './version-reader.ts'

/** No such model or version, or one that can't be used; the message says what there is. */
export class StoreError extends Error {
  override name = 'StoreError'
}

const STAGING = '.staging'
const REMOVED = '.removed-'
const RESERVED = '.reserved-'
// Graph, data, tokenizer and manifest of a version are for everybody to read and nobody to write.
const READ_ONLY = 0o444

export class ModelStore {
  readonly #root: string
  readonly #staging: string
  readonly #now: () => Date
  readonly #reader: VersionReader

  constructor(
    dataDir: string,
    options: { now?: () => Date; onBroken?: (version: BrokenVersion) => void } = {},
  ) {
    this.#root = join(dataDir, 'models')
    this.#staging = join(this.#root, STAGING)
    this.#now = options.now ?? (() => new Date())
    this.#reader = new VersionReader(options.onBroken ?? (() => {}))
  }

  /** Names of the models that have a version that can be used, sorted. */
  async listModels(): Promise<string[]> {
    const names = (await namesIn(this.#root)).filter((name) => MODEL_NAME.test(name)).sort()
    const found = await Promise.all(names.map((name) => this.#newest(name)))
    return names.filter((_, index) => found[index] !== null)
  }

  /** A model's versions, newest first, without the broken ones. */
  async listVersions(model: string): Promise<StoredVersion[]> {
    const outcomes = await this.#readAll(model)
    return outcomes.filter((outcome) => 'manifest' in outcome)
  }

  /** Every version folder that can't be used, and why. */
  async listBroken(): Promise<BrokenVersion[]> {
    return (await this.listAll()).filter((outcome) => 'problem' in outcome)
  }

  /** Every version folder of every model, those that can't be used too. */
  async listAll(): Promise<(StoredVersion | BrokenVersion)[]> {
    const outcomes = await Promise.all(
      (await namesIn(this.#root)).sort().map((name) => this.#readAll(name)),
    )
    return outcomes.flat()
  }

  /** @param reference `model` for its newest version, or `model@version`; null where there is none that can be used */
  async resolve(reference: string): Promise<StoredVersion | null> {
    const { model, version } = splitReference(reference)
    if (!MODEL_NAME.test(model)) return null
    if (version === null) return this.#newest(model)
    if (!VERSION_NUMBER.test(version)) return null
    const outcome = await this.#readOne(model, version)
    return outcome && 'manifest' in outcome ? outcome : null
  }

  /** As resolve, for a person. @throws StoreError that says what is wrong with it, or what there is instead */
  async get(reference: string): Promise<StoredVersion> {
    const version = await this.resolve(reference)
    if (version) return version
    const { model, version: number } = splitReference(reference)
    checkName(model)
    const outcomes = await this.#readAll(model)
    const broken = outcomes.filter((outcome) => 'problem' in outcome)
    const meant = broken.find((outcome) => outcome.id === reference) ?? broken[0]
    if (meant && (number === null || meant.id === reference)) {
      throw new StoreError(`${meant.id} can't be used: ${meant.problem}`)
    }
    if (outcomes.length > 0) {
      const ids = outcomes.map((outcome) => outcome.id).join(', ')
      throw new StoreError(`There is no version ${reference}; there are ${ids}`)
    }
    const models = await this.listModels()
    const known = models.length > 0 ? `there are ${models.join(', ')}` : 'none is imported yet'
    throw new StoreError(`There is no model ${model}; ${known}`)
  }

  /**
   * The version of a model that was made of the same content at the same precision.
   * @param adapter where the content is one: the sum of its base's source, and whether it is merged
   */
  async findSame(
    model: string,
    sourceSha256: string,
    precision: Manifest['precision'],
    adapter: { form: AdapterRecord['form']; baseSha256: string } | null = null,
  ): Promise<StoredVersion | null> {
    const versions = await this.listVersions(model)
    const same = versions.find(
      ({ manifest }) =>
        manifest.source.sha256 === sourceSha256 &&
        // An exported graph is what it is, whatever is asked for.
        [precision, 'exported'].includes(manifest.precision) &&
        manifest.adapter?.form === adapter?.form &&
        manifest.adapter?.base.source.sha256 === adapter?.baseSha256,
    )
    return same ?? null
  }

  /** An empty folder to make a version in; what interrupted imports left behind is cleared away. */
  async createStaging(model: string): Promise<string> {
    checkName(model)
    await sweepWorkFolders(this.#staging)
    return createWorkFolder(this.#staging, model)
  }

  /**
   * Makes a finished staging folder the next version of its model: hashed, read-only, on disk, then in place at once.
   * @throws StoreError where a file that the draft names is not there
   */
  async publish(
    staging: string,
    draft: ManifestDraft,
    signal?: AbortSignal,
  ): Promise<StoredVersion> {
    const { model } = draft
    checkName(model)
    const files = await hashVersionFiles(staging, signal)
    for (const name of namedFiles(draft)) {
      if (!files[name]) throw new StoreError(`${join(staging, name)} is missing. This is a bug.`)
    }
    for (const name of Object.keys(files)) {
      await chmod(join(staging, name), READ_ONLY)
      await flush(join(staging, name))
    }
    const home = join(this.#root, model)
    await mkdir(home, { recursive: true })
    const created = this.#now().toISOString()
    for (let number = await this.#nextNumber(model); ; number++) {
      signal?.throwIfAborted()
      const version = String(number)
      const manifest = { ...draft, version, created, files }
      const manifestPath = join(staging, MANIFEST_FILE)
      await rm(manifestPath, { force: true })
      await writeManifest(staging, manifest)
      await chmod(manifestPath, READ_ONLY)
      await flush(manifestPath)
      await flush(staging)
      const folder = join(home, version)
      try {
        await rename(staging, folder)
      } catch (error) {
        // Another importer took this number between the look and the rename.
        if (isOccupied(error)) continue
        throw error
      }
      if ((await namesIn(home)).includes(RESERVED + version)) {
        await rename(folder, staging)
        continue
      }
      await flush(home)
      await flush(this.#root)
      return { id: `${model}@${version}`, folder, manifest }
    }
  }

  /**
   * Takes a number for a version that has no folder, such as one that an upstream answers.
   * @returns false: it is taken already
   */
  async reserve(model: string, number: number): Promise<boolean> {
    checkName(model)
    const home = join(this.#root, model)
    await mkdir(home, { recursive: true })
    const mark = join(home, RESERVED + number)
    if ((await this.#usedNumbers(model)).includes(number)) return false
    try {
      await writeFile(mark, '', { flag: 'wx' })
    } catch (error) {
      if (isOccupied(error)) return false
      throw error
    }
    // An import that takes it at this moment looks for the mark when its folder is there: one of the two gives way.
    if (!(await namesIn(home)).includes(String(number))) return true
    await rm(mark, { force: true })
    return false
  }

  /** Deletes a version, broken ones too. @param id `model@version` @throws StoreError where there is none */
  async remove(id: string): Promise<void> {
    const { model, version } = splitReference(id)
    checkName(model)
    const numbers = await this.#numbers(model)
    if (version === null || !numbers.includes(Number(version))) {
      const ids = numbers.map((number) => `${model}@${number}`).join(', ')
      const known = numbers.length > 0 ? `there are ${ids}` : `${model} has no versions`
      throw new StoreError(`There is no version ${id}; ${known}`)
    }
    const home = join(this.#root, model)
    await writeFile(join(home, REMOVED + version), '')
    // Out of sight in one step; whatever interrupts the deleting, the rest is swept like any leftover.
    const bin = await createWorkFolder(this.#staging, 'removed')
    await rename(join(home, version), join(bin, version))
    await rm(bin, { recursive: true, force: true })
    this.#reader.forget(join(home, version))
  }

  async #newest(model: string): Promise<StoredVersion | null> {
    for (const number of await this.#numbers(model)) {
      const outcome = await this.#readOne(model, String(number))
      if (outcome && 'manifest' in outcome) return outcome
    }
    return null
  }

  async #readAll(model: string): Promise<(StoredVersion | BrokenVersion)[]> {
    if (!MODEL_NAME.test(model)) return []
    const numbers = await this.#numbers(model)
    const outcomes = await Promise.all(
      numbers.map((number) => this.#readOne(model, String(number))),
    )
    return outcomes.filter((outcome) => outcome !== null)
  }

  /** @returns null where there is no such folder */
  #readOne(model: string, version: string): Promise<StoredVersion | BrokenVersion | null> {
    return this.#reader.read(join(this.#root, model, version), model, version)
  }

  /** highest first */
  async #numbers(model: string): Promise<number[]> {
    const names = await namesIn(join(this.#root, model))
    return names
      .filter((name) => VERSION_NUMBER.test(name))
      .map(Number)
      .sort((a, b) => b - a)
  }

  async #nextNumber(model: string): Promise<number> {
    return Math.max(0, ...(await this.#usedNumbers(model))) + 1
  }

  async #usedNumbers(model: string): Promise<number[]> {
    const names = await namesIn(join(this.#root, model))
    return names
      .map((name) => name.replace(REMOVED, '').replace(RESERVED, ''))
      .filter((name) => VERSION_NUMBER.test(name))
      .map(Number)
  }
}

/** `model@version` in its two parts; without `@` the version is null. */
export function splitReference(reference: string): { model: string; version: string | null } {
  const at = reference.indexOf('@')
  if (at < 0) return { model: reference, version: null }
  return { model: reference.slice(0, at), version: reference.slice(at + 1) }
}

function checkName(model: string) {
  if (MODEL_NAME.test(model)) return
  throw new StoreError(
    `${JSON.stringify(model)} can't be a model's name: allowed are lower-case letters, digits, '.', '_' and '-', ` +
      'at most 64 of them, the first a letter or digit',
  )
}

/** Waits until a file's content, or a folder's entries, are on disk. */
async function flush(path: string): Promise<void> {
  const handle = await open(path, 'r')
  try {
    await handle.sync()
  } finally {
    await handle.close()
  }
}

function isOccupied(error: unknown): boolean {
  if (!(error instanceof Error) || !('code' in error)) return false
  return error.code === 'ENOTEMPTY' || error.code === 'EEXIST'
}
