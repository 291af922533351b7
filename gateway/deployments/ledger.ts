// The ledger, as it is written to: one entry at a time, each a transaction with its row of the audit log and its calls
// to webhooks, or none of it.
//
// Knows: entries, conflicts, attempts. Does not know: engines, what is resident, HTTP.

import { randomUUIDv7 } from 'node:crypto'

import { recordChange } from '../db/audit.ts'
import {
  deleteAttempt,
  insertAttempt,
  listAttempts,
  listLostAttempts,
} from '../db/deployment-attempts.ts'
import { findLiveDeployment, insertDeployment, lockLedger } from '../db/deployments.ts'
import { inTransaction } from '../db/transaction.ts'
import { GatewayError } from '../errors.ts'
import { deploymentBody } from '../dialects/admin/deployment.ts'
import type { Attempt } from '../db/deployment-attempts.ts'
import type { Deployment, DeploymentDraft } from '../db/deployments.ts'
import type { Pool, Queryable } from '../db/pool.ts'
import type { TrafficState } from './state.ts'

export interface LedgerOptions {
  pool: Pool
  /** Keeps what is to be told of an entry, in its transaction. */
  announce: (transaction: Queryable, entry: Deployment, before: Deployment | null) => Promise<void>
  /**
   * Has the versions that an entry adds stay what they are until it is written.
   * @throws GatewayError where one may not be deployed any more
   */
  hold?: (
    transaction: Queryable,
    draft: DeploymentDraft,
    before: TrafficState | null,
  ) => Promise<void>
  now?: () => Date
}

/** Entries of one kind that this process wrote since its start. */
export interface EntryCount {
  model: string
  action: string
  outcome: string
  count: number
}

export class Ledger {
  readonly #options: LedgerOptions
  readonly #counts = new Map<string, EntryCount>()

  constructor(options: LedgerOptions) {
    this.#options = options
  }

  get #now(): Date {
    return this.#options.now?.() ?? new Date()
  }

  /** for metrics */
  counts(): Iterable<EntryCount> {
    return this.#counts.values()
  }

  /**
   * A switch begins. One of a model at a time, except that a rollback waits for nobody.
   * @throws GatewayError `deployment_conflict`
   */
  async begin(draft: DeploymentDraft, holds: boolean): Promise<string> {
    const id = randomUUIDv7()
    await inTransaction(this.#options.pool, async (transaction) => {
      await lockLedger(transaction)
      await requireUnchanged(transaction, draft)
      const [other] = await listAttempts(transaction, draft.model)
      if (other && draft.action !== 'rollback') throw underWay(other)
      await insertAttempt(transaction, { id, draft, holds })
    })
    return id
  }

  /**
   * It has ended: what it leaves is live from now on, or never will be.
   * @param error why it failed; null: it didn't
   * @throws GatewayError `deployment_conflict` where something else became live meanwhile
   */
  async end(attempt: string, draft: DeploymentDraft, error: string | null): Promise<Deployment> {
    return this.#entering(async (transaction) => {
      const isThere = await deleteAttempt(transaction, attempt)
      if (!isThere) throw givenUp(draft)
      if (error === null) await requireUnchanged(transaction, draft)
      return this.#write(transaction, draft, error)
    })
  }

  /** Takes back that it began; nothing is left of it. */
  async abandon(attempt: string): Promise<void> {
    await deleteAttempt(this.#options.pool, attempt)
  }

  /** Without anything to be loaded first. @throws GatewayError `deployment_conflict` */
  async append(draft: DeploymentDraft): Promise<Deployment> {
    return this.#entering(async (transaction) => {
      await requireUnchanged(transaction, draft)
      return this.#write(transaction, draft, null)
    })
  }

  /** Closes the attempts of gateways that died in the middle of one. @returns their entries */
  async closeLost(): Promise<Deployment[]> {
    const { pool } = this.#options
    // Mostly there are none, and nobody is to wait for a look.
    if ((await listLostAttempts(pool)).length === 0) return []
    const made = await inTransaction(pool, async (transaction) => {
      await lockLedger(transaction)
      const closed: Deployment[] = []
      for (const { id, draft } of await listLostAttempts(transaction)) {
        if (!(await deleteAttempt(transaction, id))) continue
        closed.push(await this.#write(transaction, draft, LOST))
      }
      return closed
    })
    return made.map((entry) => this.#counted(entry))
  }

  /** One entry, counted once it is committed. */
  async #entering(write: (transaction: Queryable) => Promise<Deployment>): Promise<Deployment> {
    const entry = await inTransaction(this.#options.pool, async (transaction) => {
      await lockLedger(transaction)
      return write(transaction)
    })
    return this.#counted(entry)
  }

  #counted(entry: Deployment): Deployment {
    const { model, action, outcome } = entry
    const name = `${model}\n${action}\n${outcome}`
    const known = this.#counts.get(name)
    this.#counts.set(name, { model, action, outcome, count: (known?.count ?? 0) + 1 })
    return entry
  }

  async #write(
    transaction: Queryable,
    draft: DeploymentDraft,
    error: string | null,
  ): Promise<Deployment> {
    const { model, action, actor } = draft
    const before = await findLiveDeployment(transaction, model)
    if (error === null) await this.#options.hold?.(transaction, draft, before?.state ?? null)
    const entry = await insertDeployment(transaction, draft, this.#now, error)
    await recordChange(transaction, actor, {
      action: error === null ? `deployment.${action}` : 'deployment.fail',
      kind: 'deployment',
      id: String(entry.id),
      name: model,
      before: before && deploymentBody(before),
      after: deploymentBody(entry),
    })
    await this.#options.announce(transaction, entry, before)
    return entry
  }
}

const LOST = 'The gateway that made this deployment ended in the middle of it.'

async function requireUnchanged(transaction: Queryable, draft: DeploymentDraft): Promise<void> {
  const live = await findLiveDeployment(transaction, draft.model)
  if ((live?.number ?? null) !== draft.basedOn) throw conflict(draft.model, draft.basedOn, live)
}

/** @param expected the number that was live for whoever asks; null: none */
export function conflict(
  model: string,
  expected: number | null,
  live: Deployment | null,
): GatewayError {
  const was = expected === null ? 'nothing was live' : `number ${expected} was live`
  const is = live
    ? `number ${live.number} is: ${live.action} by ${live.actor.name} at ${live.at.toISOString()}` +
      (live.reason === null ? '' : `, “${live.reason}”`)
    : 'nothing is'
  return new GatewayError(
    'deployment_conflict',
    `When this was asked for ${was} of '${model}'; now ${is}. Nothing was changed.`,
  )
}

function underWay({ draft, beganAt }: Attempt): GatewayError {
  const { model, action, actor, state } = draft
  const versions = state.targets.map(({ version }) => version).join(', ')
  return new GatewayError(
    'deployment_conflict',
    `Since ${beganAt.toISOString()} ${actor.name} has a ${action} of '${model}' under way (to ${versions}). ` +
      'Nothing was changed; a rollback need not wait for it.',
  )
}

function givenUp({ model }: DeploymentDraft): GatewayError {
  return new GatewayError(
    'deployment_conflict',
    `This gateway could not be seen for a while, and its deployment of '${model}' was given up. Nothing was changed.`,
  )
}
