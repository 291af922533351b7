// Tells the catalog of the version folders: new ones are registered, damaged and vanished ones are shown as such.
//
// Folders are looked at every few seconds, and the tables only when something is different. Several gateways may do this,
// over one data folder or over their own: only the library that has a version may say that it is gone, and another one that
// has it takes its place. What was deleted, and is still there because a gateway died over it, is deleted to the end.
//
// Knows: folders, the tables of models and versions. Does not know: HTTP, which version is live.

import { insertCatalogModel } from '../db/catalog-models.ts'
import {
  countBroken,
  insertVersion,
  listAllVersions,
  lockVersion,
  updateVersion,
} from '../db/catalog-versions.ts'
import { inTransaction } from '../db/transaction.ts'
import { lookAt } from './folders.ts'
import { NO_FACTS, NO_ORIGIN, NOTHING_SAID } from './nothing-said.ts'
import type { CatalogVersion } from '../db/catalog-versions.ts'
import type { Pool } from '../db/pool.ts'
import type { Logger } from '../logger.ts'
import type { ModelStore } from '../../models/store.ts'
import type { FoundVersion } from './folders.ts'
import type { Guards } from './guards.ts'

export interface RegistrarOptions {
  pool: Pool
  store: Pick<ModelStore, 'listAll' | 'remove'>
  /** of the data folder: models/library-id.ts */
  library: string
  isLoaded: Guards['isLoaded']
  logger: Logger
  intervalMs?: number
}

/** Whoever imports a version sees it in the catalog that soon; a look is some calls of stat() for each version. */
const INTERVAL_MS = 2_000
/** What another gateway has said of the same version meanwhile is put right that late. */
const REPEAT_MS = 60_000

/** who told of a model that nobody told of */
const IMPORT = 'import'

export class Registrar {
  readonly #options: RegistrarOptions
  #seen = ''
  /** the last look is to be repeated */
  #isDoubted = false
  #writtenAt = -Infinity
  #syncing: Promise<void> | null = null
  #timer: NodeJS.Timeout | null = null
  #isClosed = false
  #broken = { damaged: 0, missing: 0 }
  /** said once */
  readonly #told = new Set<string>()

  constructor(options: RegistrarOptions) {
    this.#options = options
  }

  /** Versions of this library whose folder can't be used as it is. */
  get damaged(): number {
    return this.#broken.damaged
  }

  /** Those whose folder is gone. */
  get missing(): number {
    return this.#broken.missing
  }

  /** Looks at once, and from then on; what goes wrong is logged and tried again. */
  async start(): Promise<void> {
    try {
      await this.sync()
    } catch (error) {
      this.#tell('sync', () =>
        this.#options.logger.warn(
          { err: error },
          'the catalog does not follow the version folders',
        ),
      )
    }
    if (this.#isClosed) return
    const { intervalMs = INTERVAL_MS } = this.#options
    this.#timer = setTimeout(() => void this.start(), intervalMs)
    this.#timer.unref()
  }

  /** Looks now. Resolves when the catalog says what the folders say. */
  async sync(): Promise<void> {
    // The look under way may have been too early for whoever asks.
    await this.#syncing?.catch(() => {})
    this.#syncing ??= this.#sync().finally(() => (this.#syncing = null))
    return this.#syncing
  }

  async close(): Promise<void> {
    this.#isClosed = true
    if (this.#timer) clearTimeout(this.#timer)
    await this.#syncing?.catch(() => {})
  }

  async #sync(): Promise<void> {
    const found = await Promise.all((await this.#options.store.listAll()).map(lookAt))
    const seen = JSON.stringify(found.map(({ id, origin, problem }) => [id, origin, problem]))
    const isDue = this.#isDoubted || performance.now() - this.#writtenAt > REPEAT_MS
    if (seen === this.#seen && !isDue) return
    this.#isDoubted = false
    const rows = new Map((await listAllVersions(this.#options.pool)).map((row) => [row.id, row]))
    for (const version of found) {
      const row = rows.get(version.id)
      if (row) await this.#compare(row, version)
      else await this.#register(version)
      rows.delete(version.id)
    }
    for (const row of rows.values()) await this.#miss(row)
    this.#broken = await countBroken(this.#options.pool, this.#options.library)
    this.#seen = seen
    this.#writtenAt = performance.now()
    this.#told.delete('sync')
  }

  async #register(found: FoundVersion): Promise<void> {
    const { pool, library, logger } = this.#options
    const { id, model, number, origin, baseModel, created, problem } = found
    const now = new Date()
    await inTransaction(pool, async (transaction) => {
      await insertCatalogModel(transaction, {
        ...NOTHING_SAID,
        name: model,
        licence: origin?.licence ?? null,
        createdAt: now,
        createdBy: IMPORT,
        updatedAt: now,
      })
      await insertVersion(transaction, {
        ...NO_ORIGIN,
        ...origin,
        ...NO_FACTS,
        baseModel,
        id,
        model,
        number,
        kind: 'local',
        // Nothing is known of what can't be read, so that it isn't ready for anything.
        state: origin ? 'ready' : 'draft',
        condition: problem === null ? 'present' : 'damaged',
        problem,
        library,
        upstream: null,
        asks: null,
        price: null,
        createdAt: created ?? now,
        registeredAt: now,
        updatedAt: now,
      })
    })
    logger.info({ version: id, problem }, `${id} is in the catalog`)
  }

  async #compare(row: CatalogVersion, found: FoundVersion): Promise<void> {
    const { library, logger } = this.#options
    const { id } = row
    if (row.state === 'deleted') return this.#finishDeleting(id)
    if (row.kind === 'upstream') {
      const where = `the folder of ${id} is passed over: the catalog has an upstream's version of that number`
      this.#tell(id, () => logger.error({ version: id }, where))
      return
    }
    const after = withFolder(row, found, library)
    if (!after || isSame(row, after)) return
    await this.#update(row, after)
  }

  /** Only whoever had it knows that it is gone. */
  async #miss(row: CatalogVersion): Promise<void> {
    const { library } = this.#options
    const isOurs = row.kind === 'local' && row.library === library
    if (!isOurs || row.state === 'deleted' || row.condition === 'missing') return
    const problem = 'its folder is gone'
    await this.#update(row, { ...row, condition: 'missing', problem })
  }

  async #update(row: CatalogVersion, after: CatalogVersion): Promise<void> {
    const { pool, logger } = this.#options
    const isWritten = await inTransaction(pool, async (transaction) => {
      const now = await lockVersion(transaction, row.id)
      // Somebody has changed it since it was read: the next look sees both.
      if (!now || now.updatedAt.getTime() !== row.updatedAt.getTime()) return false
      await updateVersion(transaction, { ...after, updatedAt: new Date() })
      return true
    })
    if (!isWritten) {
      this.#isDoubted = true
      return
    }
    const { id, condition, problem } = after
    if (condition === 'present') logger.info({ version: id }, `${id} can be used again`)
    else logger.error({ version: id }, `${id} is ${condition}: ${problem}`)
  }

  async #finishDeleting(id: string): Promise<void> {
    const { store, isLoaded, logger } = this.#options
    if (await isLoaded(id)) return
    await store.remove(id)
    logger.info({ version: id }, `the folder of ${id}, which was deleted, is removed`)
  }

  #tell(what: string, say: () => void) {
    if (this.#told.has(what)) return
    this.#told.add(what)
    say()
  }
}

/** @returns null: what this library has is not to be told over what the other one has */
function withFolder(
  row: CatalogVersion,
  { origin, baseModel, created, problem }: FoundVersion,
  library: string,
): CatalogVersion | null {
  const isOther = row.library !== library
  if (problem !== null || !origin) {
    if (isOther && row.condition === 'present') return null
    return { ...row, library, condition: 'damaged', problem }
  }
  if (row.digest !== null && row.digest !== origin.digest) {
    const differs = `its folder has the digest ${origin.digest}; ${row.digest} was registered`
    if (isOther && row.condition === 'present') return null
    return { ...row, library, condition: 'damaged', problem: differs }
  }
  const healed = { ...row, condition: 'present' as const, problem: null }
  if (row.digest === null) {
    // It could not be read when it was registered.
    const createdAt = created ?? row.createdAt
    const state = row.state === 'draft' ? 'ready' : row.state
    const base = row.baseModel ?? baseModel
    return { ...healed, ...origin, baseModel: base, library, createdAt, state }
  }
  return row.condition === 'present' ? row : { ...healed, library }
}

function isSame(a: CatalogVersion, b: CatalogVersion): boolean {
  return a.condition === b.condition && a.problem === b.problem && a.digest === b.digest
}
