// Versions loaded and unloaded by hand, each with its row of the audit log, and a look at what is where.
//
// By hand nothing is decided for good: what is unloaded comes back where it is wanted or asked for, and what is loaded goes
// where nobody wants it and nobody asks.
//
// Knows: who may be in the way. Does not know: HTTP, why a version is wanted, how engines are placed.

import { setTimeout as sleep } from 'node:timers/promises'

import { RuntimeError } from '../../runtime/client.ts'
import { servesVersion } from '../../runtime/protocol.ts'
import { recordChange } from '../db/audit.ts'
import { GatewayError } from '../errors.ts'
import type { EngineStats, LoadEvent } from '../../runtime/protocol.ts'
import type { Actor } from '../db/audit.ts'
import type { Pool } from '../db/pool.ts'
import type { VersionNames } from '../residency/open.ts'
import type { HostReport, Residency } from '../residency/residency.ts'

export interface EngineAdministration {
  pool: Pool
  residency: Pick<Residency, 'load' | 'unload' | 'ps' | 'isWanted'> | null
  versions: VersionNames
  actor: Actor
}

export async function listEngines(
  residency: EngineAdministration['residency'],
): Promise<HostReport[]> {
  return residency ? residency.ps() : []
}

export interface Loaded {
  version: string
  /** false: the wait was over before it was; the load goes on */
  isReady: boolean
  /** how far it is, in words */
  detail: string
}

/**
 * Resolves when the version answers on a host at least, or the wait is over.
 * @param name `model@version`, or `model` for the one that answers for it
 * @throws GatewayError `model_not_found`, or what the runtime says
 */
export async function loadByHand(
  deps: EngineAdministration,
  name: string,
  waitMs: number,
): Promise<Loaded> {
  const residency = requireRuntime(deps)
  const { id } = await findVersion(deps.versions, name)
  const isNew = engines(await residency.ps(), id).every(({ state }) => state === 'failed')
  const over = new AbortController()
  let last: LoadEvent | null = null
  const loading = residency
    .load(id, (event) => (last = event))
    .then(
      () => true,
      (error: unknown) => {
        throw told(error)
      },
    )
  const patience = sleep(waitMs, false, { signal: over.signal }).catch(() => false)
  const isReady = await Promise.race([loading, patience]).finally(() => over.abort())
  // Whoever comes back to wait on is told how it ended.
  loading.catch(() => {})
  if (isNew) await record(deps, 'engine.load', id, null, { state: isReady ? 'ready' : 'loading' })
  const detail = isReady ? `${id} is loaded.` : `${id} is being loaded${phaseOf(last)}.`
  return { version: id, isReady, detail }
}

export interface Unloaded {
  version: string
  /** it was on a host */
  wasLoaded: boolean
  /** it is wanted, so that it comes back by itself */
  isWanted: boolean
}

/**
 * Resolves when its requests have finished and its processes are gone.
 * @throws GatewayError `version_in_use` where it is wanted or at work, unless forced
 */
export async function unloadByHand(
  deps: EngineAdministration,
  version: string,
  isForced: boolean,
): Promise<Unloaded> {
  const residency = requireRuntime(deps)
  const present = engines(await residency.ps(), version)
  // An adapter's engine is its base's, which may be needed for others; what runs through it is served in any case.
  const own = present.filter((engine) => engine.version === version)
  const isWanted = own.some((engine) => engine.isWanted) || residency.isWanted(version)
  const requests = own.reduce((sum, { running, waiting }) => sum + running + waiting, 0)
  if (!isForced && (isWanted || requests > 0)) {
    const reasons = [
      isWanted && 'is to stay loaded (it, or an adapter in it, is live or kept warm)',
      requests > 0 && `has ${requests} requests at work`,
    ]
    throw new GatewayError(
      'version_in_use',
      `${version} ${reasons.filter(Boolean).join(' and ')}; with force its requests finish and it is unloaded all the same.`,
    )
  }
  if (present.length > 0) {
    await residency.unload(version).catch((error: unknown) => {
      throw told(error)
    })
    const before = { hosts: present.length, requests, wanted: isWanted }
    await record(deps, 'engine.unload', version, before, null)
  }
  return { version, wasLoaded: present.length > 0, isWanted }
}

function engines(hosts: HostReport[], version: string): EngineStats[] {
  return hosts.flatMap((host) => host.engines).filter((engine) => servesVersion(engine, version))
}

function requireRuntime({ residency }: EngineAdministration) {
  if (residency) return residency
  const message = 'This gateway has no runtime: upstreams alone answer here.'
  throw new GatewayError('runtime_unreachable', message)
}

async function findVersion(versions: VersionNames, name: string) {
  const version = await versions.resolve(name)
  if (version) return version
  const message = `There is no version '${name}' in the library; headrace models list shows those that are.`
  throw new GatewayError('model_not_found', message, { param: 'version' })
}

/** In the runtime's own words, which are for operators. */
function told(error: unknown): unknown {
  if (!(error instanceof RuntimeError)) return error
  // A load is of no kind, so that it is never the wrong one.
  const isOurs = error.code === 'internal' || error.code === 'wrong_kind'
  const code = isOurs ? 'internal_error' : error.code
  return new GatewayError(code, error.message, { cause: error })
}

function phaseOf(event: LoadEvent | null): string {
  if (event?.type !== 'progress') return ''
  const share = event.fraction === undefined ? '' : ` ${Math.round(100 * event.fraction)} %`
  return `: ${event.phase}${share}`
}

function record(
  { pool, actor }: EngineAdministration,
  action: string,
  version: string,
  before: object | null,
  after: object | null,
): Promise<void> {
  return recordChange(pool, actor, {
    action,
    kind: 'version',
    id: version,
    name: version,
    before,
    after,
  })
}
