// Limits in their two spellings: ours, and that of the wire, the tables and the command line.
//
// Adding a limit: a field of Limits, and its line here.

import type { Limits } from './caller.ts'

type Snake<S extends string> = S extends `${infer First}${infer Rest}`
  ? First extends Lowercase<First>
    ? `${First}${Snake<Rest>}`
    : `_${Lowercase<First>}${Snake<Rest>}`
  : S

export type LimitName = Snake<keyof Limits>
export type WireLimits = { [Name in LimitName]?: number }

interface LimitKind {
  name: LimitName
  key: keyof Limits
  /** dollars may have cents */
  isWhole: boolean
  about: string
}

export const LIMITS: readonly LimitKind[] = [
  whole('requests_per_minute', 'requestsPerMinute', 'requests in a minute'),
  whole('tokens_per_minute', 'tokensPerMinute', 'tokens in a minute, of prompts and answers'),
  whole('concurrent_requests', 'concurrentRequests', 'requests at once'),
  { name: 'daily_usd', key: 'dailyUsd', isWhole: false, about: 'US dollars in a day' },
  { name: 'monthly_usd', key: 'monthlyUsd', isWhole: false, about: 'US dollars in a month' },
  whole('daily_tokens', 'dailyTokens', 'tokens in a day'),
  whole('monthly_tokens', 'monthlyTokens', 'tokens in a month'),
]

function whole(name: LimitName, key: keyof Limits, about: string): LimitKind {
  return { name, key, isWhole: true, about }
}

export function limitsToWire(limits: Limits): WireLimits {
  const wire: WireLimits = {}
  for (const { name, key } of LIMITS) if (limits[key] !== undefined) wire[name] = limits[key]
  return wire
}

/** null stands for "no such limit", as an absent one does. */
export function readLimits(wire: { [Name in LimitName]?: number | null }): Limits {
  const limits: Limits = {}
  for (const { name, key } of LIMITS) {
    const value = wire[name]
    if (value !== undefined && value !== null) limits[key] = value
  }
  return limits
}
