// Lets the contestants take turns, case by case and round by round, the order turned by one each round, so that a machine
// that is slow for a while is slow for all of them. Medians over the rounds are compared.

import { median } from '../statistics.ts'
import { takeTurn, warmUp } from './turn.ts'
import type { Progress } from '../progress.ts'
import type { LoadCase, Turn } from './case.ts'
import type { Contestant } from './contestant.ts'
import type { TurnOptions } from './turn.ts'

/** medians over the turns; `turns` holds all of them */
export interface Figures extends Omit<Turn, 'failure'> {
  contestant: string
  loadCase: string
  /** over direct */
  addedP50Ms: number | null
  addedP99Ms: number | null
  turns: Turn[]
}

export const DIRECT = 'direct'

export async function runRounds(
  contestants: readonly Contestant[],
  cases: readonly LoadCase[],
  { rounds, progress, ...options }: TurnOptions & { rounds: number; progress: Progress },
): Promise<Figures[]> {
  for (const contestant of contestants) {
    progress(`warming up: ${contestant.name}`)
    await warmUp(contestant, options)
  }
  const taken = new Map<string, Turn[]>()
  for (let round = 0; round < rounds; round++) {
    for (const loadCase of cases) {
      progress(`round ${round + 1} of ${rounds}: ${loadCase.name}`)
      for (let at = 0; at < contestants.length; at++) {
        options.signal.throwIfAborted()
        const contestant = contestants[(at + round) % contestants.length]!
        const turn = await takeTurn(contestant, loadCase, options)
        if (turn.failures > 0) {
          progress(`${contestant.name}: ${turn.failures} failed, the first with ${turn.failure}`)
        }
        const key = keyOf(contestant.name, loadCase.name)
        taken.set(key, [...(taken.get(key) ?? []), turn])
      }
    }
  }
  return cases.flatMap((loadCase) => {
    const turnsOf = (name: string) => taken.get(keyOf(name, loadCase.name)) ?? []
    return contestants.map(({ name }) =>
      figuresOf(name, loadCase.name, turnsOf(name), turnsOf(DIRECT)),
    )
  })
}

const keyOf = (contestant: string, loadCase: string) => `${contestant}, ${loadCase}`

function figuresOf(contestant: string, loadCase: string, turns: Turn[], direct: Turn[]): Figures {
  const middle = (of: (turn: Turn) => number) => median(turns.map(of))
  const known = (of: (turn: Turn) => number | null) => {
    const values = turns.map(of).filter((value) => value !== null)
    return values.length > 0 ? median(values) : null
  }
  // Round by round: a slow moment of the machine is in both.
  const added = (of: (turn: Turn) => number) =>
    contestant === DIRECT ? null : median(turns.map((turn, at) => of(turn) - of(direct[at]!)))
  return {
    contestant,
    loadCase,
    requests: turns.reduce((total, { requests }) => total + requests, 0),
    failures: turns.reduce((total, { failures }) => total + failures, 0),
    perSecond: middle(({ perSecond }) => perSecond),
    p50Ms: middle(({ p50Ms }) => p50Ms),
    p99Ms: middle(({ p99Ms }) => p99Ms),
    addedP50Ms: added(({ p50Ms }) => p50Ms),
    addedP99Ms: added(({ p99Ms }) => p99Ms),
    cpuMs: known(({ cpuMs }) => cpuMs),
    postgresCpuMs: known(({ postgresCpuMs }) => postgresCpuMs),
    memoryBytes: known(({ memoryBytes }) => memoryBytes),
    postgresMemoryBytes: known(({ postgresMemoryBytes }) => postgresMemoryBytes),
    turns,
  }
}

/** Milliseconds of 1,000 requests, its database included. */
export function wholeCpuMs({ cpuMs, postgresCpuMs }: Figures): number | null {
  return cpuMs === null ? null : cpuMs + (postgresCpuMs ?? 0)
}
