// The order in which a route's targets are asked: the chosen one first, the others behind it as second choices.
//
// Knows: weights and figures. Does not know: breakers, retries.

import { hash } from 'node:crypto'

import type { Route, Target } from './route.ts'
import type { TargetHealths } from './target-health.ts'

/** @param random in [0, 1) */
export function order(
  { targets, balance }: Route,
  healths: TargetHealths,
  stickyKey: string | null,
  random: () => number,
): Target[] {
  const [only] = targets
  if (only && targets.length === 1) return targets
  // What has no weight gets no traffic, except where it alone is asked for.
  const weighted = targets.filter(({ weight }) => weight > 0)
  if (stickyKey !== null) return byKey(weighted, stickyKey)
  switch (balance) {
    case 'weighted':
      return byWeight(weighted, random)
    case 'least_busy':
      return leastFirst(byWeight(weighted, random), (target) => {
        return (healths.of(target).open + 1) / target.weight
      })
    case 'fastest':
      return fasterOfTwo(byWeight(weighted, random), healths)
  }
}

/** Drawn without putting back: Efraimidis and Spirakis (2006), key = −ln(u) / weight, the least first. */
function byWeight(targets: Target[], random: () => number): Target[] {
  const keys = new Map(targets.map((target) => [target, -Math.log(1 - random()) / target.weight]))
  return leastFirst(targets, (target) => keys.get(target) ?? 0)
}

/**
 * Weighted rendezvous hashing: each target draws from the key and its own name, so that a key's order changes only
 * where targets come or go, and the targets' shares of all keys are their weights.
 */
export function byKey(targets: Target[], key: string): Target[] {
  const keys = new Map(
    targets.map((target) => {
      const digest = hash('sha256', `${key}\n${target.version}`, 'buffer')
      const draw = (digest.readUInt32BE(0) + 0.5) / 2 ** 32
      return [target, -Math.log(draw) / target.weight]
    }),
  )
  return leastFirst(targets, (target) => keys.get(target) ?? 0)
}

/**
 * The faster of the first two, by the time to the first delta times the requests that wait for one. Two drawn ones are
 * compared, not all: the fastest of all would get everything until it is the slowest. Who was never measured is tried.
 */
function fasterOfTwo(drawn: Target[], healths: TargetHealths): Target[] {
  const cost = (target: Target) => {
    const { firstDeltaMs, open } = healths.of(target)
    return (firstDeltaMs ?? 0) * (open + 1)
  }
  return [...leastFirst(drawn.slice(0, 2), cost), ...drawn.slice(2)]
}

function leastFirst(targets: Target[], cost: (target: Target) => number): Target[] {
  return targets.toSorted((a, b) => cost(a) - cost(b))
}
