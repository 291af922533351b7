// Who answers one key of a deployed model: the same version every time, for as long as the deployment says the same.
//
// A key draws a number in [0, 1) for each version on trial; it is on trial while the number is less than the share. So
// that as the share grows keys are added and none leaves, and a conversation changes its version at most once. Those not
// on trial are shared out among the targets by the same rendezvous as everywhere (balance.ts).
//
// The others stand behind the chosen one, before the fallbacks: an answer by another version is better than none.
//
// Knows: routes, keys. Does not know: where keys come from, requests.

import { hash } from 'node:crypto'

import { byKey } from './balance.ts'
import type { Route, Target } from './route.ts'

/** @returns a route of one target, for the cache and the router alike */
export function chosenFor(route: Route, key: string | null): Route {
  if (route.deployment === undefined || key === null) return route
  const { targets, canary, fallbacks } = route
  const ordered = byKey(
    targets.filter(({ weight }) => weight > 0),
    key,
  )
  const isOnTrial = canary ? drawOf(key, canary.target) < canary.share : false
  const [chosen, ...others] = isOnTrial && canary ? [canary.target, ...ordered] : ordered
  if (!chosen) return route
  return { ...route, targets: [chosen], fallbacks: [...others, ...fallbacks], canary: null }
}

/** In [0, 1), of key and version: another canary is another draw, or the same keys would be tried on every time. */
function drawOf(key: string, { version }: Target): number {
  return hash('sha256', `canary\n${version}\n${key}`, 'buffer').readUInt32BE(0) / 2 ** 32
}
