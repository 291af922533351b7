// What a model's traffic state becomes by what is asked for. Pure: from the live state and a request to the next state.
//
// Knows: states. Does not know: whether the versions are there, who asks, the ledger.

import { GatewayError } from '../errors.ts'
import type { Canary, Guards, TrafficState, WeightedVersion } from './state.ts'

export type Request =
  /** one version for everything; what is on trial ends */
  | {
      action: 'deploy'
      version: string
      fallbacks?: string[]
      sticky?: TrafficState['sticky']
    }
  | {
      action: 'weights'
      targets: WeightedVersion[]
      fallbacks?: string[]
      sticky?: TrafficState['sticky']
    }
  | {
      action: 'canary'
      version: string
      share?: number
      steps?: number[]
      bakeSeconds?: number
      guards?: Guards
      sticky?: TrafficState['sticky']
    }
  /** the canary's next share */
  | { action: 'step' }
  /** the canary gets everything */
  | { action: 'promote' }
  /** null ends it */
  | { action: 'shadow'; version: string | null; share?: number }

const STEPS = [0.05, 0.25, 0.5, 1]
const BAKE_SECONDS = 600

/** of a model that is deployed for the first time */
const EMPTY: TrafficState = {
  targets: [],
  canary: null,
  shadow: null,
  fallbacks: [],
  // A caller is often one server that speaks for thousands; shares of callers would be all or nothing.
  sticky: 'session',
}

/** @param live null: none @throws GatewayError where it makes no sense */
export function nextState(live: TrafficState | null, request: Request): TrafficState {
  const before = live ?? EMPTY
  switch (request.action) {
    case 'deploy':
      return shared(before, { ...request, targets: [{ version: request.version, weight: 1 }] })
    case 'weights':
      return shared(before, request)
    case 'canary': {
      requireLive(live, 'a canary')
      if (live.targets.some(({ version }) => version === request.version)) {
        throw invalid(`'${request.version}' answers already; a canary is another version.`)
      }
      return {
        ...before,
        canary: startCanary(request),
        sticky: request.sticky ?? before.sticky,
      }
    }
    case 'step': {
      const { steps, ...canary } = requireCanary(live)
      const [share = 1, ...rest] = steps
      if (share >= 1) return promoted(before, canary.version)
      return { ...before, canary: { ...canary, share, steps: rest } }
    }
    case 'promote':
      return promoted(before, requireCanary(live).version)
    case 'shadow': {
      requireLive(live, 'a shadow')
      const { version, share = 1 } = request
      if (version !== null && isAlone(version, live.targets) && live.canary === null) {
        throw invalid(`'${version}' answers everything already; a shadow is another version.`)
      }
      return { ...before, shadow: version === null ? null : { version, share } }
    }
  }
}

interface Sharing {
  targets: WeightedVersion[]
  fallbacks?: string[]
  sticky?: TrafficState['sticky']
}

/** All of the traffic goes to these; what is on trial ends, and so does a shadow that gets everything. */
function shared(before: TrafficState, { targets, ...said }: Sharing): TrafficState {
  const { fallbacks = before.fallbacks, sticky = before.sticky } = said
  requireOnce(
    targets.map(({ version }) => version),
    'targets',
  )
  requireOnce(fallbacks, 'fallbacks')
  const { shadow } = before
  const isOver = shadow !== null && isAlone(shadow.version, targets)
  return { targets, canary: null, shadow: isOver ? null : shadow, fallbacks, sticky }
}

const isAlone = (version: string, targets: readonly WeightedVersion[]) =>
  targets.every((target) => target.version === version)

function requireOnce(versions: readonly string[], param: string): void {
  const twice = versions.find((version, index) => versions.indexOf(version) !== index)
  if (twice !== undefined) throw invalid(`'${param}' names '${twice}' twice.`, param)
}

/** Where nothing is said: 5, 25, 50, 100 %; where a share is said, the usual ones after it; steps alone begin at 5 %. */
function startCanary({
  version,
  share: given,
  steps,
  bakeSeconds,
  guards,
}: Extract<Request, { action: 'canary' }>): Canary {
  const [first = 1] = STEPS
  const share = given ?? first
  const rest = steps ?? STEPS.filter((step) => step > share)
  const shares = [share, ...rest]
  const isGrowing = shares.every((step, index) => step > (shares[index - 1] ?? 0))
  if (share >= 1 || !isGrowing || rest.at(-1) !== 1) {
    throw invalid(
      `A canary's shares must grow from less than 1 to 1 at last; got ${shares.join(', ')}.`,
      'steps',
    )
  }
  return {
    version,
    share,
    steps: rest,
    bakeSeconds: bakeSeconds ?? BAKE_SECONDS,
    guards: guards ?? {},
  }
}

function promoted(before: TrafficState, version: string): TrafficState {
  return shared(before, { targets: [{ version, weight: 1 }] })
}

/** Every version that a state gives requests to, the first choices first, each once. */
export function versionsOf({ targets, canary, shadow, fallbacks }: TrafficState): string[] {
  const versions = targets.map(({ version }) => version)
  if (canary) versions.push(canary.version)
  if (shadow) versions.push(shadow.version)
  return [...new Set([...versions, ...fallbacks])]
}

/** Those without which a state is not to be live: fallbacks are loaded when they are asked. */
export function neededVersions(state: TrafficState): string[] {
  return versionsOf({ ...state, fallbacks: [] })
}

/** Whether they say the same, whatever the order of their keys. */
export function sameState(a: TrafficState, b: TrafficState): boolean {
  return canonical(a) === canonical(b)
}

function canonical(value: unknown): string {
  return JSON.stringify(value, (_key, inner: unknown) =>
    typeof inner === 'object' && inner !== null && !Array.isArray(inner)
      ? Object.fromEntries(Object.entries(inner).toSorted(([a], [b]) => (a < b ? -1 : 1)))
      : inner,
  )
}

function requireLive(live: TrafficState | null, what: string): asserts live is TrafficState {
  if (live) return
  throw new GatewayError(
    'not_deployed',
    `Nothing is live that ${what} could stand beside: deploy a version first.`,
  )
}

function requireCanary(live: TrafficState | null): Canary {
  if (live?.canary) return live.canary
  throw new GatewayError('no_canary', 'No version of this model is on trial.')
}

function invalid(message: string, param = 'version'): GatewayError {
  return new GatewayError('invalid_value', message, { param })
}
