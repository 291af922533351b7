// Lets the contestants take turns, case by case and round by round, so that a machine that is slow for a while is slow for
// all of them. The order is turned by one each round: nobody always runs after the same other.
//
// Everything that was measured is kept: medians are compared, and the best round is shown beside them.

import { median } from '../statistics.ts'
import type { Progress } from '../progress.ts'
import type { Contestant, SpeedCase } from './case.ts'

export interface Measured {
  contestant: string
  speedCase: string
  /** tokens per second, one for each round */
  rates: number[]
  median: number
  best: number
}

export async function runRounds(
  contestants: readonly Contestant[],
  cases: readonly SpeedCase[],
  { rounds, progress, signal }: { rounds: number; progress: Progress; signal: AbortSignal },
): Promise<Measured[]> {
  const rates = new Map<string, number[]>()
  for (let round = 0; round < rounds; round++) {
    for (const speedCase of cases) {
      progress(`speed: round ${round + 1} of ${rounds}, ${speedCase.name}`)
      for (let turn = 0; turn < contestants.length; turn++) {
        signal.throwIfAborted()
        const contestant = contestants[(turn + round) % contestants.length]!
        const key = keyOf(contestant.name, speedCase.name)
        rates.set(key, [...(rates.get(key) ?? []), await contestant.run(speedCase)])
      }
    }
  }
  return contestants.flatMap(({ name: contestant }) =>
    cases.map(({ name: speedCase }) => {
      const measured = rates.get(keyOf(contestant, speedCase)) ?? []
      return {
        contestant,
        speedCase,
        rates: measured,
        median: median(measured),
        best: Math.max(...measured),
      }
    }),
  )
}

const keyOf = (contestant: string, speedCase: string) => `${contestant}, ${speedCase}`
