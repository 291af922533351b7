// Deployments as the command line tells them: in a sentence, and in a table.

import { percent } from './shares.ts'
import { asTable } from './table.ts'

export interface Target {
  version: string
  weight: number
}

/** As the admin API tells one. */
export interface Entry {
  id: number
  model: string
  number: number
  at: string
  action: string
  outcome: string
  state: {
    targets: Target[]
    canary: { version: string; share: number; steps: number[] } | null
    shadow: { version: string; share: number } | null
  }
  restores: number | null
  reason: string | null
  actor: { name: string }
  error: string | null
}

function stateCell({ targets, canary, shadow }: Entry['state']): string {
  const total = targets.reduce((sum, { weight }) => sum + weight, 0)
  const parts = targets.map(({ version, weight }) =>
    targets.length === 1 ? version : `${version} ${percent(weight / total)}`,
  )
  if (canary) parts.push(`canary ${canary.version} ${percent(canary.share)}`)
  if (shadow) parts.push(`shadow ${shadow.version} ${percent(shadow.share)}`)
  return parts.join(', ')
}

export function sentenceOf({ model, number, state }: Entry): string {
  return `${model} is answered by ${stateCell(state)} (deployment ${number}).`
}

export function tableOf(model: string, entries: Entry[], hasMore: boolean): string {
  if (entries.length === 0) return `Nothing of '${model}' was deployed here.`
  const table = asTable(
    ['NUMBER', 'AT', 'ACTION', 'OUTCOME', 'WHO', 'STATE', 'WHY'],
    entries.map(({ number, at, action, restores, outcome, actor, state, error, reason }) => [
      String(number),
      at.slice(0, 19),
      restores === null ? action : `${action} to ${restores}`,
      // Of each at its time: which one is live now is the first line's to say.
      outcome === 'live' ? 'went live' : outcome,
      actor.name,
      stateCell(state),
      [reason, error].filter((text) => text !== null).join(' — '),
    ]),
  )
  return hasMore ? `${table}\nThere are more: --before ${entries.at(-1)?.number}` : table
}
