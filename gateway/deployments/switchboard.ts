// Switches a model's traffic from one state to another: checked, loaded and warmed up, then live in one step.
//
//   begin ─► (hold ─► unload old) ─► load and warm up new ─► live ─► every replica follows
//              only to replace                └──► failed: an entry with the reason, and no traffic
//
// What is to be live is loaded on every host before the entry is written; what was live goes on answering until then.
// Nothing is unloaded here, except to make room where that was asked for: residency.ts does, later.
//
// Knows: the steps and their order. Does not know: HTTP, how requests find their way.

import { findDeployment, findLiveDeployment, listLiveDeployments } from '../db/deployments.ts'
import { listAttempts, renewAttempt } from '../db/deployment-attempts.ts'
import { GatewayError } from '../errors.ts'
import { lastGood } from './last-good.ts'
import { conflict } from './ledger.ts'
import { neededVersions, nextState, sameState, versionsOf } from './next-state.ts'
import type { Actor } from '../db/audit.ts'
import type { Deployment, DeploymentDraft } from '../db/deployments.ts'
import type { Pool } from '../db/pool.ts'
import type { Logger } from '../logger.ts'
import type { FaultPoint } from './fault-point.ts'
import type { Ledger } from './ledger.ts'
import type { LiveDeployments } from './live.ts'
import type { Request } from './next-state.ts'
import type { Loading } from './loading.ts'
import type { TrafficState } from './state.ts'
import type { VersionSource } from './version-source.ts'

export interface Asked {
  actor: Actor
  reason?: string | null
  /** the number that has to be live still */
  ifLive?: number
  /** where there is no memory for both: the old one ends first, and requests wait */
  replace?: boolean
  /** although a gate says no; whoever does so says why */
  override?: boolean
}

/**
 * May refuse a state: a draft, an archived version, scores that are missing.
 * @returns what was overridden, for the ledger; null: nothing was
 * @throws GatewayError that says what
 */
export type Gate = (
  model: string,
  state: TrafficState,
  before: TrafficState | null,
  asked: Pick<Asked, 'override' | 'reason'>,
) => Promise<string | null>

export interface SwitchboardOptions {
  pool: Pool
  ledger: Ledger
  live: LiveDeployments
  versions: VersionSource
  loading: Loading
  isDeclared: (model: string) => boolean
  gates?: Gate[]
  reach: (point: FaultPoint) => void
  logger: Logger
}

const BEAT_MS = 1_000
export class Switchboard {
  readonly #options: SwitchboardOptions

  constructor(options: SwitchboardOptions) {
    this.#options = options
  }

  /**
   * @returns the entry that is live from now on; the present one where it says the same already
   * @throws GatewayError where it is refused, or failed; nothing that answered before is touched then
   */
  async deploy(model: string, request: Request, asked: Asked): Promise<Deployment> {
    const live = await this.#liveOf(model, asked)
    const state = nextState(live?.state ?? null, request)
    if (live && sameState(live.state, state)) return live
    if (request.action === 'shadow' && request.version !== null) {
      await this.#requireTexts(request.version)
    }
    const { action } = request
    // A last step is what it does.
    const isLast = action === 'step' && state.canary === null
    return this.#switch(live, asked, {
      ...draftOf(model, live, asked),
      action: isLast ? 'promote' : action,
      state,
    })
  }

  /** @param to a number; null: the last good state, see last-good.ts */
  async rollback(model: string, to: number | null, asked: Asked): Promise<Deployment> {
    const { pool } = this.#options
    const live = await this.#liveOf(model, asked)
    if (!live) throw notDeployed(model)
    const restored =
      to === null ? lastGood(await listLiveDeployments(pool, model)) : await this.#entry(model, to)
    if (!restored) {
      throw new GatewayError(
        'nothing_to_roll_back_to',
        `No earlier state of '${model}' differs from number ${live.number} and was not taken back itself. ` +
          "'to' takes the number of any deployment.",
      )
    }
    const { state, missing } = await this.#whatIsThere(restored)
    if (to !== null && sameState(state, live.state)) {
      // An entry, though it changes nothing, is what refuses a deployment that is under way.
      const attempts = await listAttempts(pool, model)
      if (attempts.length === 0) return live
    }
    const from = versionsOf(live.state).join(', ')
    const why = asked.reason ?? `Back from ${from} to number ${restored.number}.`
    return this.#switch(live, asked, {
      ...draftOf(model, live, asked),
      action: 'rollback',
      state,
      restores: restored.number,
      reason:
        missing.length === 0 ? why : `${why} Without ${missing.join(', ')}: not there any more.`,
    })
  }

  /**
   * Of a state to go back to: who is to answer has to be there, but nobody stays with what is bad for want of a fallback or
   * a shadow.
   * @throws GatewayError where somebody isn't
   */
  async #whatIsThere({ model, number, state }: Deployment) {
    const { versions } = this.#options
    const missing: string[] = []
    for (const id of versionsOf(state)) if (!(await versions.find(id))) missing.push(id)
    const answering = versionsOf({ ...state, shadow: null, fallbacks: [] })
    const gone = answering.find((id) => missing.includes(id))
    if (gone !== undefined) {
      throw new GatewayError(
        'version_not_found',
        `Number ${number} of '${model}' needs '${gone}', which is not there any more, or may not answer. Nothing was ` +
          "changed; 'to' takes the number of any other deployment.",
        { param: 'to' },
      )
    }
    const shadow = state.shadow && missing.includes(state.shadow.version) ? null : state.shadow
    const fallbacks = state.fallbacks.filter((id) => !missing.includes(id))
    return { state: { ...state, shadow, fallbacks }, missing }
  }

  async #switch(
    live: Deployment | null,
    asked: Asked,
    draft: DeploymentDraft,
  ): Promise<Deployment> {
    const { ledger, live: known, loading, gates = [], reach } = this.#options
    const { model, state } = draft
    const needed = await this.#check(model, state)
    // Taking back what is bad is never refused for what the good one lacks.
    if (draft.action !== 'rollback') {
      for (const gate of gates) {
        const overridden = await gate(model, state, live?.state ?? null, asked)
        if (overridden) draft.reason = `${draft.reason} ${overridden}`
      }
    }
    const replaces = await loading.mustReplace(model, needed, asked.replace ?? false)
    const attempt = await ledger.begin(draft, replaces)
    const beat = setInterval(() => void this.#beat(attempt), BEAT_MS)
    try {
      reach('after-attempt')
      const error = await loading.load(model, state, needed, replaces)
      reach('before-commit')
      const entry = await ledger.end(attempt, draft, error)
      reach('after-commit')
      await known.refresh()
      reach('after-refresh')
      if (error !== null) {
        await loading.drop(state)
        throw failed(entry)
      }
      // Whoever unloads may have looked a moment before.
      loading.ensure(needed)
      return entry
    } catch (error) {
      await ledger.abandon(attempt).catch(() => {})
      throw error
    } finally {
      clearInterval(beat)
    }
  }

  /** @returns local versions that have to be loaded, with what they take @throws GatewayError where one isn't there */
  async #check(model: string, state: TrafficState): Promise<string[]> {
    const { versions, loading } = this.#options
    const local: string[] = []
    const needed = new Set(neededVersions(state))
    const own = [...state.targets, ...(state.canary ? [state.canary] : [])]
    const stranger = own.find(({ version }) => !version.startsWith(`${model}@`))
    if (stranger) {
      throw new GatewayError(
        'invalid_value',
        `'${stranger.version}' is no version of '${model}'; only shadows and fallbacks may be another model's.`,
        { param: 'version' },
      )
    }
    for (const id of versionsOf(state)) {
      const version = await versions.find(id)
      if (!version) throw noVersion(id)
      if (version.kind !== 'local') continue
      if (!loading.isPossible) {
        throw new GatewayError(
          'deployment_failed',
          `'${id}' needs a runtime, and this server has none.`,
        )
      }
      if (needed.has(id)) local.push(id)
    }
    return local
  }

  /** @throws GatewayError where it is known to make none */
  async #requireTexts(shadow: string): Promise<void> {
    const version = await this.#options.versions.find(shadow)
    if (version?.kind !== 'local' || (version.task ?? 'generate') === 'generate') return
    throw new GatewayError(
      'unsupported_model',
      `'${shadow}' makes no texts, and only requests for texts are copied to a shadow.`,
      { param: 'version' },
    )
  }

  async #liveOf(model: string, { ifLive }: Asked): Promise<Deployment | null> {
    const { pool, isDeclared } = this.#options
    if (isDeclared(model)) throw isNotDeployed(model)
    const live = await findLiveDeployment(pool, model)
    if (ifLive !== undefined && live?.number !== ifLive) throw conflict(model, ifLive, live)
    return live
  }

  async #entry(model: string, number: number): Promise<Deployment> {
    const entry = await findDeployment(this.#options.pool, model, number)
    if (!entry) {
      throw new GatewayError(
        'deployment_not_found',
        `'${model}' has no deployment number ${number}.`,
        {
          param: 'to',
        },
      )
    }
    if (entry.outcome === 'live') return entry
    throw new GatewayError(
      'invalid_value',
      `Deployment number ${number} of '${model}' failed and was never live: ${entry.error}`,
      { param: 'to' },
    )
  }

  async #beat(attempt: string): Promise<void> {
    // A beat that is lost is followed by another; who misses too many is told at the end.
    await renewAttempt(this.#options.pool, attempt).catch(() => {})
  }
}

function draftOf(model: string, live: Deployment | null, { actor, reason = null }: Asked) {
  return { model, basedOn: live?.number ?? null, restores: null, reason, actor }
}

function failed({ model, number, error }: Deployment): GatewayError {
  return new GatewayError(
    'deployment_failed',
    `Deployment number ${number} of '${model}' failed, and what was live still is: ${error}`,
  )
}

function noVersion(id: string): GatewayError {
  return new GatewayError(
    'version_not_found',
    `There is no version '${id}', or none that may answer.`,
    { param: 'version' },
  )
}

export function notDeployed(model: string): GatewayError {
  return new GatewayError('deployment_not_found', `Nothing of '${model}' was ever deployed here.`)
}

function isNotDeployed(model: string): GatewayError {
  return new GatewayError(
    'model_is_declared',
    `'${model}' is declared, in headrace.yaml or by PUT /admin/models/${model}: its declaration says who answers, and there ` +
      'is nothing to deploy.',
  )
}
