// Walks canaries along their steps, and takes them back: looks every few seconds, as the only one of all gateways.
//
// What it knows of a canary is in the ledger and in the table of verdicts, so that whoever comes next goes on. What it
// does it asks for as everybody does, by the number that it took for live: where somebody was quicker it looks again.
//
// Knows: the order of things, time. Does not know: SQL, how traffic is switched.

import { setTimeout as sleep } from 'node:timers/promises'

import { asOnlyOne } from '../db/alone.ts'
import { isAway } from '../db/away.ts'
import { findCanaryVerdict, upsertCanaryVerdict } from '../db/canary-verdicts.ts'
import { listLiveDeployments } from '../db/deployments.ts'
import { readOnly } from '../db/read-only.ts'
import { GatewayError } from '../errors.ts'
import { readFigures } from './figures.ts'
import { atNextStep, judge } from './guards.ts'
import { nextStepOf } from './next-step.ts'
import { trialOf } from './trial.ts'
import { wordsOf } from './verdict-words.ts'
import type { Actor } from '../db/audit.ts'
import type { CanaryVerdict } from '../db/canary-verdicts.ts'
import type { Deployment } from '../db/deployments.ts'
import type { Pool } from '../db/pool.ts'
import type { LiveDeployments } from '../deployments/live.ts'
import type { Switchboard } from '../deployments/switchboard.ts'
import type { Logger } from '../logger.ts'
import type { GuardName, GuardVerdict } from './guards.ts'
import type { NextStep } from './next-step.ts'
import type { Trial } from './trial.ts'

export interface CanaryControllerOptions {
  pool: Pool
  live: Pick<LiveDeployments, 'list'>
  switchboard: Pick<Switchboard, 'deploy' | 'rollback'>
  logger: Logger
  now?: () => Date
  intervalMs?: number
}

export interface RolledBack {
  model: string
  version: string
  guard: GuardName
  count: number
}

/** any number, the same in every gateway: "cana" in ASCII */
const LOCK = '1667329633'
const INTERVAL_MS = 3_000
const PATIENCE_MS = 5_000
/** A look at a long trial reads much: it gets a tenth of the time, at most, and others are not kept waiting by it. */
const REST = 10
/** what is said where it could not be done; the next look tries again */
const WANTED = {
  rollback: 'was to be taken back and could not be',
  step: 'was to get its next share and could not',
  promote: 'was to get all of the traffic and could not',
}
const ACTOR: Actor = { id: null, name: 'canary', via: 'gateway' }

export class CanaryController {
  readonly #options: CanaryControllerOptions
  readonly #stop = new AbortController()
  readonly #rolledBack = new Map<string, RolledBack>()
  /** by model: before which its canary is left alone; milliseconds, monotonic */
  readonly #dueMs = new Map<string, number>()
  /**
   * By model: number of the entry that began the step which could not be ended. It is tried again at each look, and the
   * guards must not spend one of theirs on every time.
   */
  readonly #refused = new Map<string, number>()
  #running: Promise<void> = Promise.resolve()

  constructor(options: CanaryControllerOptions) {
    this.#options = options
  }

  start(): void {
    this.#running = this.#run()
  }

  /** Waits for the look that is under way. */
  async close(): Promise<void> {
    this.#stop.abort()
    await this.#running
  }

  /** canaries that this process took back, by the guard that was breached */
  get rolledBack(): Iterable<RolledBack> {
    return this.#rolledBack.values()
  }

  /** One look at every canary; nothing where another gateway is at it. */
  look(): Promise<void> {
    return this.#lookAtAll(this.#onTrial())
  }

  #onTrial(): string[] {
    const live = this.#options.live.list()
    return live.flatMap(({ model, state }) => (state.canary ? model : []))
  }

  async #lookAtAll(models: readonly string[]): Promise<void> {
    const { pool, logger } = this.#options
    if (models.length === 0) return
    await asOnlyOne(pool, LOCK, PATIENCE_MS, async () => {
      for (const model of models) {
        if (this.#stop.signal.aborted) return
        const startedMs = performance.now()
        try {
          await this.#lookAt(model)
        } catch (error) {
          if (isAway(error)) throw error
          logger.error({ err: error, model }, `the canary of ${model} could not be looked at`)
        }
        const endedMs = performance.now()
        this.#dueMs.set(model, endedMs + (endedMs - startedMs) * REST)
      }
    })
  }

  async #run(): Promise<void> {
    const { logger, intervalMs = INTERVAL_MS } = this.#options
    const { signal } = this.#stop
    while (!signal.aborted) {
      try {
        await this.#lookAtAll(this.#due())
      } catch (error) {
        if (!isAway(error)) logger.warn({ err: error }, 'canaries could not be looked at')
      }
      await sleep(intervalMs, undefined, { signal, ref: false }).catch(() => {})
    }
  }

  #due(): string[] {
    const models = this.#onTrial()
    for (const known of [this.#dueMs, this.#refused]) {
      for (const model of known.keys()) if (!models.includes(model)) known.delete(model)
    }
    return models.filter((model) => (this.#dueMs.get(model) ?? 0) <= performance.now())
  }

  async #lookAt(model: string): Promise<void> {
    const { pool, now = () => new Date() } = this.#options
    const trial = trialOf(await listLiveDeployments(pool, model))
    if (!trial) return
    const last = await findCanaryVerdict(pool, model, trial.began.number)
    const isSameStep = last?.step === trial.step.number
    const before = isSameStep ? last.guards : atNextStep(last?.guards ?? [])
    const figures = await readOnly(pool, (db) => readFigures(db, trial))
    const samples = { canary: figures.canary.errors.of, live: figures.live.errors.of }
    const decide = (isDecisive: boolean) => {
      const guards = judge(trial.canary.guards, figures, before, isDecisive)
      return { guards, next: nextStepOf(trial, samples, guards, now()) }
    }
    const first = decide(false)
    const isDecisive = isStep(first.next) && this.#refused.get(model) !== trial.step.number
    const { guards, next } = isDecisive ? decide(true) : first
    const verdict: CanaryVerdict = {
      model,
      began: trial.began.number,
      version: trial.canary.version,
      step: trial.step.number,
      guards,
      canarySample: samples.canary,
      liveSample: samples.live,
      judgedAt: now(),
      ended: null,
    }
    // Before anything is done: a look that was made is counted, whatever becomes of this process.
    await upsertCanaryVerdict(pool, verdict)
    const entry = await this.#act(trial, next, samples.canary)
    if (!entry && isStep(next)) this.#refused.set(model, trial.step.number)
    if (entry && entry.state.canary === null) {
      await upsertCanaryVerdict(pool, { ...verdict, ended: entry.number })
    }
  }

  /** @returns the entry that it made; null where there is nothing to be done, or somebody was quicker */
  async #act(trial: Trial, next: NextStep, sample: number): Promise<Deployment | null> {
    if (next.action === 'wait') return null
    const { switchboard, logger } = this.#options
    const { model, canary, now } = trial
    const asked = { actor: ACTOR, ifLive: now.number }
    try {
      switch (next.action) {
        case 'rollback': {
          const reason = `${canary.version} was taken back: ${next.breached.map(wordsOf).join('; ')}.`
          const entry = await switchboard.rollback(model, null, { ...asked, reason })
          this.#count(trial, next.breached)
          const guards = next.breached.map(({ guard }) => guard)
          logger.warn({ model, version: canary.version, guards, deployment: entry.number }, reason)
          return entry
        }
        case 'step':
        case 'promote': {
          const reason = `${canary.version} kept to its guards at ${Math.round(canary.share * 1000) / 10} % for ${canary.bakeSeconds} s; ${sample} exchanges.`
          return await switchboard.deploy(model, { action: next.action }, { ...asked, reason })
        }
      }
    } catch (error) {
      if (!(error instanceof GatewayError)) throw error
      if (error.code === 'deployment_conflict') return null
      const what = WANTED[next.action]
      const { version } = canary
      logger.error({ err: error, model, version }, `${version} ${what}: ${error.message}`)
      return null
    }
  }

  #count({ model, canary: { version } }: Trial, breached: readonly GuardVerdict[]) {
    for (const { guard } of breached) {
      const key = `${model}\n${version}\n${guard}`
      const count = (this.#rolledBack.get(key)?.count ?? 0) + 1
      this.#rolledBack.set(key, { model, version, guard, count })
    }
  }
}

const isStep = ({ action }: NextStep) => action === 'step' || action === 'promote'
