// Models as administrators see and change them: the file's, which they can only see, and those of the table.
//
// Knows: declarations, the table. Does not know: HTTP; the library's models, which are listed at /v1/models.

import { recordChange } from '../db/audit.ts'
import {
  deleteDeclaredModel,
  findDeclaredModel,
  listDeclaredModels,
  upsertDeclaredModel,
} from '../db/declared-models.ts'
import { listUpstreams } from '../db/upstreams.ts'
import { GatewayError } from '../errors.ts'
import { changeDeclared, orUnavailable } from './change.ts'
import { checkBody } from './check-body.ts'
import { onlyInFile } from './upstream-administration.ts'
import type { Actor } from '../db/audit.ts'
import type { StoredModel } from '../db/declared-models.ts'
import type { AdministrationDeps } from './upstream-administration.ts'
import type { DeclaredModel } from './schema.ts'

/** As answers show one. */
export type ModelView = DeclaredModel & {
  name: string
  source: 'file' | 'api'
  /** false: headrace.yaml has one of this name, which is in force instead */
  in_force: boolean
  created_at: string | null
  updated_at: string | null
}

export class ModelAdministration {
  readonly #deps: AdministrationDeps

  constructor(deps: AdministrationDeps) {
    this.#deps = deps
  }

  async list(): Promise<ModelView[]> {
    const { pool, sources } = this.#deps
    const rows = await orUnavailable(() => listDeclaredModels(pool))
    const declared = Object.entries(sources.file.models ?? {})
    return [
      ...declared.map(([name, model]) => viewOfDeclared(name, model)),
      ...rows.map((row) => this.#viewOf(row)),
    ]
  }

  /** Of the table's and the file's the one that is in force. */
  async find(name: string): Promise<ModelView> {
    const declared = this.#inFile(name)
    if (declared) return viewOfDeclared(name, declared)
    const row = await orUnavailable(() => findDeclaredModel(this.#deps.pool, name))
    if (row) return this.#viewOf(row)
    throw noModel(name)
  }

  /** Makes one or replaces it. @throws GatewayError with everything that is wrong */
  async put(name: string, body: unknown, actor: Actor): Promise<ModelView> {
    const { pool, sources, stored } = this.#deps
    const view = await changeDeclared(pool, async (transaction) => {
      const upstreams = (await listUpstreams(transaction)).map((upstream) => upstream.name)
      checkBody('models', name, body, [...Object.keys(sources.file.upstreams ?? {}), ...upstreams])
      const before = await findDeclaredModel(transaction, name)
      const now = new Date()
      const createdAt = before?.createdAt ?? now
      const after = { name, declaration: body, createdAt, updatedAt: now }
      await upsertDeclaredModel(transaction, after)
      const shown = this.#viewOf(after)
      await recordChange(transaction, actor, {
        action: before ? 'model.update' : 'model.create',
        kind: 'model',
        id: name,
        name,
        before: before && this.#viewOf(before),
        after: shown,
      })
      return shown
    })
    // Whoever is told that it is there can use it here at once.
    await stored.refresh()
    return view
  }

  async remove(name: string, actor: Actor): Promise<void> {
    const { pool, stored } = this.#deps
    await changeDeclared(pool, async (transaction) => {
      const before = await findDeclaredModel(transaction, name)
      if (!before) throw this.#inFile(name) ? onlyInFile('model', name) : noModel(name)
      await deleteDeclaredModel(transaction, name)
      const change = { action: 'model.delete', kind: 'model' as const, id: name, name, after: null }
      await recordChange(transaction, actor, { ...change, before: this.#viewOf(before) })
    })
    await stored.refresh()
  }

  #inFile(name: string): DeclaredModel | null {
    const { models = {} } = this.#deps.sources.file
    return Object.hasOwn(models, name) ? (models[name] ?? null) : null
  }

  #viewOf({ name, declaration, createdAt, updatedAt }: StoredModel): ModelView {
    return {
      name,
      source: 'api',
      in_force: !this.#inFile(name),
      // Checked before it was stored.
      ...(declaration as DeclaredModel),
      created_at: createdAt.toISOString(),
      updated_at: updatedAt.toISOString(),
    }
  }
}

function viewOfDeclared(name: string, model: DeclaredModel): ModelView {
  return { name, source: 'file', in_force: true, ...model, created_at: null, updated_at: null }
}

function noModel(name: string): GatewayError {
  return new GatewayError('model_not_declared', `There is no declared model '${name}'.`)
}
