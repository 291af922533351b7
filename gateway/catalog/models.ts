// Changes of the catalog's models: each is one transaction with its row of the audit log.
//
// Knows: what may be said of a model. Does not know: HTTP, the command line, who may say it.

import {
  deleteCatalogModel,
  findCatalogModel,
  insertCatalogModel,
  listModelNames,
  lockCatalogModel,
  updateCatalogModel,
} from '../db/catalog-models.ts'
import { recordChange } from '../db/audit.ts'
import { inTransaction } from '../db/transaction.ts'
import { catalogModelBody, textsOf } from '../dialects/admin/catalog-model.ts'
import { mergePatch } from '../dialects/admin/fields.ts'
import { GatewayError } from '../errors.ts'
import { nearestName } from '../nearest-name.ts'
import { NOTHING_SAID } from './nothing-said.ts'
import type { Actor } from '../db/audit.ts'
import type { CatalogModel } from '../db/catalog-models.ts'
import type { Pool, Queryable } from '../db/pool.ts'
import type { CatalogModelDraft, CatalogModelPatch } from '../dialects/admin/catalog-model.ts'

/** @throws GatewayError `name_taken` */
export async function createCatalogModel(
  pool: Pool,
  actor: Actor,
  { name, ...said }: CatalogModelDraft,
): Promise<CatalogModel> {
  const now = new Date()
  const blank: CatalogModel = {
    ...NOTHING_SAID,
    name,
    createdAt: now,
    createdBy: actor.name,
    updatedAt: now,
  }
  const model = patched(blank, said, now)
  return inTransaction(pool, async (transaction) => {
    if (!(await insertCatalogModel(transaction, model))) {
      throw new GatewayError('name_taken', `The catalog has a model '${name}' already.`, {
        param: 'name',
      })
    }
    await recordModel(transaction, actor, 'create', null, model)
    return model
  })
}

/** @throws GatewayError `model_not_in_catalog` */
export async function changeCatalogModel(
  pool: Pool,
  actor: Actor,
  name: string,
  patch: CatalogModelPatch,
): Promise<CatalogModel> {
  return inTransaction(pool, async (transaction) => {
    const before = await lockCatalogModel(transaction, name)
    if (!before) throw await notInCatalog(transaction, name)
    const after = patched(before, patch, new Date())
    await updateCatalogModel(transaction, after)
    await recordModel(transaction, actor, 'update', before, after)
    return after
  })
}

/**
 * For one that was added by mistake: what had a version is remembered.
 * @throws GatewayError `model_not_in_catalog`, `model_has_versions`
 */
export async function removeCatalogModel(
  pool: Pool,
  actor: Actor,
  name: string,
): Promise<CatalogModel> {
  return inTransaction(pool, async (transaction) => {
    const before = await lockCatalogModel(transaction, name)
    if (!before) throw await notInCatalog(transaction, name)
    if (!(await deleteCatalogModel(transaction, name))) {
      throw new GatewayError(
        'model_has_versions',
        `'${name}' can't be deleted, as it has had versions, and what they answered is in the log. ` +
          'Its versions can be archived, or deleted.',
      )
    }
    await recordModel(transaction, actor, 'delete', before, null)
    return before
  })
}

/** @throws GatewayError `model_not_in_catalog` */
export async function getCatalogModel(db: Queryable, name: string): Promise<CatalogModel> {
  const model = await findCatalogModel(db, name)
  if (!model) throw await notInCatalog(db, name)
  return model
}

export async function notInCatalog(db: Queryable, name: string): Promise<GatewayError> {
  const meant = nearestName(name, await listModelNames(db, MAX_COMPARED))
  const hint = meant === null ? '' : ` Did you mean '${meant}'?`
  return new GatewayError('model_not_in_catalog', `The catalog has no model '${name}'.${hint}`)
}

/** names that one that nobody knows is compared with: some milliseconds */
const MAX_COMPARED = 500

function patched(model: CatalogModel, patch: CatalogModelPatch, updatedAt: Date): CatalogModel {
  const { tags, price, limits } = patch
  const texts = Object.entries(textsOf(patch)).filter(([, value]) => value !== undefined)
  return {
    ...model,
    ...(Object.fromEntries(texts) as Partial<CatalogModel>),
    tags: tags ? mergePatch(model.tags, tags) : model.tags,
    price: price === undefined ? model.price : price,
    limits: limits ? mergePatch({ ...model.limits }, limits) : model.limits,
    updatedAt,
  }
}

async function recordModel(
  transaction: Queryable,
  actor: Actor,
  action: 'create' | 'update' | 'delete',
  before: CatalogModel | null,
  after: CatalogModel | null,
) {
  const { name } = (after ?? before)!
  await recordChange(transaction, actor, {
    action: `catalog_model.${action}`,
    kind: 'catalog_model',
    id: name,
    name,
    before: before && catalogModelBody(before),
    after: after && catalogModelBody(after),
  })
}
