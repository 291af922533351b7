// Changes of the catalog's versions: each is one transaction with its row of the audit log.
//
// What a version is never changes. What it was made of is said once, by whoever knows, at its registration or later;
// only a draft may be put right. Its price is its owner's to change.
//
// Knows: what may be said of a version. Does not know: HTTP, the command line, who may say it; folders.

import { recordChange } from '../db/audit.ts'
import { lockCatalogModel } from '../db/catalog-models.ts'
import {
  findLastNumber,
  findVersion,
  insertVersion,
  lockVersion,
  updateVersion,
} from '../db/catalog-versions.ts'
import { inTransaction } from '../db/transaction.ts'
import { factsOf, versionBody } from '../dialects/admin/catalog-version.ts'
import { storable } from '../dialects/admin/feedback.ts'
import { GatewayError } from '../errors.ts'
import { changeState } from './life.ts'
import { notInCatalog } from './models.ts'
import { NO_ORIGIN } from './nothing-said.ts'
import type { Actor } from '../db/audit.ts'
import type { CatalogVersion, VersionFacts } from '../db/catalog-versions.ts'
import type { Pool, Queryable } from '../db/pool.ts'
import type { UpstreamVersionDraft, VersionPatch } from '../dialects/admin/catalog-version.ts'
import type { ModelStore } from '../../models/store.ts'
import type { Guards } from './guards.ts'

export interface VersionDeps {
  pool: Pool
  /** numbers of versions are of folders and upstreams together */
  store: Pick<ModelStore, 'reserve' | 'remove'>
  guards: Guards
  /** names of those that are declared; undefined: nobody knows here */
  upstreams?: () => Promise<string[]>
}

/** @throws GatewayError `model_not_in_catalog`, `invalid_value` for an upstream that isn't declared */
export async function createUpstreamVersion(
  { pool, store, upstreams }: VersionDeps,
  actor: Actor,
  model: string,
  draft: UpstreamVersionDraft,
): Promise<CatalogVersion> {
  const { state = 'ready', price = null, licence, upstream: _, asks, ...facts } = draft
  const upstream = declaredUpstream(draft.upstream, await upstreams?.())
  return inTransaction(pool, async (transaction) => {
    if (!(await lockCatalogModel(transaction, model))) throw await notInCatalog(transaction, model)
    let number = (await findLastNumber(transaction, model)) + 1
    while (!(await store.reserve(model, number))) number++
    const now = new Date()
    const said = factsOf(facts)
    const version: CatalogVersion = {
      ...NO_ORIGIN,
      id: `${model}@${number}`,
      model,
      number,
      kind: 'upstream',
      state,
      condition: 'present',
      problem: null,
      library: null,
      licence: storable(licence) ?? null,
      upstream,
      asks: storable(asks),
      price,
      baseModel: said.baseModel ?? null,
      trainingData: said.trainingData ?? null,
      hyperparameters: said.hyperparameters ?? null,
      trainingRun: said.trainingRun ?? null,
      changeNote: said.changeNote ?? null,
      createdBy: said.createdBy ?? actor.name,
      createdAt: now,
      registeredAt: now,
      updatedAt: now,
    }
    if (!(await insertVersion(transaction, version))) {
      throw new Error(`${version.id} was taken under the lock of its model. This is a bug.`)
    }
    await recordVersion(transaction, actor, 'create', null, version)
    return version
  })
}

/** @throws GatewayError `version_not_found`, `fact_is_set`, `invalid_state`, `version_live` */
export async function changeVersion(
  { pool, guards }: { pool: Pool; guards: Pick<Guards, 'liveIn'> },
  actor: Actor,
  id: string,
  { state, price, ...patch }: VersionPatch,
): Promise<CatalogVersion> {
  return inTransaction(pool, async (transaction) => {
    const before = await lockVersion(transaction, id)
    if (!before || before.state === 'deleted') throw noVersion(id)
    const after: CatalogVersion = {
      ...before,
      ...newFacts(before, factsOf(patch)),
      price: price === undefined ? before.price : price,
      updatedAt: new Date(),
    }
    if (state !== undefined) after.state = await changeState(before, state, guards, transaction)
    await updateVersion(transaction, after)
    const isMoved = after.state !== before.state
    const action = !isMoved ? 'update' : after.state === 'archived' ? 'archive' : 'ready'
    await recordVersion(transaction, actor, action, before, after)
    return after
  })
}

/** Also of one that was deleted: its notes and evaluations are read still. @throws GatewayError `version_not_found` */
export async function getVersion(db: Queryable, id: string): Promise<CatalogVersion> {
  const version = await findVersion(db, id)
  if (!version) throw noVersion(id)
  return version
}

export function noVersion(id: string): GatewayError {
  return new GatewayError('version_not_found', `The catalog has no version '${id}'.`)
}

export async function recordVersion(
  transaction: Queryable,
  actor: Actor,
  action: string,
  before: CatalogVersion | null,
  after: CatalogVersion,
) {
  await recordChange(transaction, actor, {
    action: `catalog_version.${action}`,
    kind: 'catalog_version',
    id: after.id,
    name: after.id,
    before: before && versionBody(before),
    after: versionBody(after),
  })
}

const WIRE: Record<keyof VersionFacts, string> = {
  baseModel: 'base_model',
  trainingData: 'training_data',
  hyperparameters: 'hyperparameters',
  trainingRun: 'training_run',
  changeNote: 'change_note',
  createdBy: 'created_by',
}

/** @throws GatewayError `fact_is_set` */
function newFacts(
  version: CatalogVersion,
  said: ReturnType<typeof factsOf>,
): Partial<VersionFacts> {
  const named = (Object.keys(WIRE) as (keyof VersionFacts)[]).filter(
    (name) => said[name] !== undefined,
  )
  const taken = named.filter(
    (name) =>
      version.state !== 'draft' &&
      version[name] !== null &&
      JSON.stringify(version[name]) !== JSON.stringify(said[name]),
  )
  const [first] = taken
  if (first === undefined) return Object.fromEntries(named.map((name) => [name, said[name]]))
  const names = taken.map((name) => `'${WIRE[name]}'`).join(', ')
  throw new GatewayError(
    'fact_is_set',
    `${names} of ${version.id} was said already, and a version that is ${version.state} doesn't change. ` +
      'Register another version, or write a note.',
    { param: WIRE[first] },
  )
}

function declaredUpstream(name: string, declared: string[] | undefined): string {
  if (declared === undefined || declared.includes(name)) return name
  const known = declared.length > 0 ? `declared are ${declared.join(', ')}` : 'none is declared'
  throw new GatewayError('invalid_value', `There is no upstream '${name}'; ${known}.`, {
    param: 'upstream',
  })
}
