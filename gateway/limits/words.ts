// What a caller is told about limits: OpenAI's headers, and its words where a limit stands in the way.
//
// Knows: OpenAI's formats. Does not know: how anything is counted.

import { NANO_DOLLARS } from './price.ts'
import { GatewayError } from '../errors.ts'
import type { BudgetClaim, Claim } from './claim.ts'
import type { Refusal, Standing } from './counters.ts'

export type RateHeaders = Record<string, string>

/** The tightest of each kind: of several limits, the one with the least left. */
export function rateHeaders(claims: Claim[], standings: Standing[]): RateHeaders {
  return {
    ...headersFor('requests', 'requestsPerMinute', claims, standings),
    ...headersFor('tokens', 'tokensPerMinute', claims, standings),
  }
}

/** As Go writes a duration, which is how OpenAI writes it: 820ms, 1s, 1.5s, 6m0s. */
export function writeDuration(ms: number): string {
  const whole = Math.max(0, Math.ceil(ms))
  if (whole > 0 && whole < 1_000) return `${whole}ms`
  const hours = Math.floor(whole / 3_600_000)
  const minutes = Math.floor((whole % 3_600_000) / 60_000)
  const seconds = (whole % 60_000) / 1_000
  if (hours > 0) return `${hours}h${minutes}m${seconds}s`
  return minutes > 0 ? `${minutes}m${seconds}s` : `${seconds}s`
}

export function refuse(
  claims: Claim[],
  standings: Standing[],
  { claim: index, retryMs }: Refusal,
  model: string,
): GatewayError {
  const claim = claims[index]
  const standing = standings[index]
  if (!claim || !standing) throw new Error(`There is no claim ${index}. This is a bug.`)
  const headers = rateHeaders(claims, standings)
  const retryAfterSeconds = retryMs === null ? undefined : Math.ceil(retryMs / 1_000)

  if (claim.kind === 'budget') {
    return new GatewayError('insufficient_quota', ofBudget(claim, standing, retryMs === null), {
      retryAfterSeconds,
      // The official clients would try again within seconds.
      headers: { ...headers, 'x-should-retry': 'false' },
    })
  }
  const of = `${model} by the ${claim.owner} '${claim.ownerName}' on ${KINDS[claim.limitName]}`
  const type = claim.limitName === 'tokensPerMinute' ? 'tokens' : 'requests'
  if (retryMs === null) {
    return new GatewayError(
      'rate_limit_exceeded',
      `Request too large for ${of}: Limit ${claim.limit}, Requested ${claim.amount}. ` +
        'The input or output tokens must be reduced in order to run successfully.',
      { type, headers: { ...headers, 'x-should-retry': 'false' } },
    )
  }
  return new GatewayError(
    'rate_limit_exceeded',
    `Rate limit reached for ${of}: Limit ${claim.limit}, Used ${standing.used}, ` +
      `Requested ${claim.amount}. Please try again in ${writeDuration(retryMs)}.`,
    {
      type,
      retryAfterSeconds,
      headers: { ...headers, 'retry-after-ms': String(Math.ceil(retryMs)) },
    },
  )
}

const KINDS: Record<string, string> = {
  requestsPerMinute: 'requests per min (RPM)',
  tokensPerMinute: 'tokens per min (TPM)',
  concurrentRequests: 'concurrent requests',
}

function ofBudget(claim: BudgetClaim, { used }: Standing, isTooLarge: boolean): string {
  const { owner, ownerName, limit, amount, toMs, limitName } = claim
  const period = limitName.startsWith('daily') ? 'daily' : 'monthly'
  const write = (value: number) =>
    claim.unit === 'usd' ? writeDollars(value / NANO_DOLLARS) : `${value} tokens`
  return (
    'You exceeded your current quota, please check your plan and billing details. ' +
    `The ${period} budget of the ${owner} '${ownerName}' is ${write(limit)}; ` +
    `${write(used)} are used or reserved, and this request needs up to ${write(amount)}` +
    (isTooLarge
      ? ', more than the whole of it.'
      : `. It resets at ${new Date(toMs).toISOString().replace('.000', '')}.`)
  )
}

/** $5, $0.25, $0.000012: as many places as the figure needs to be seen */
function writeDollars(usd: number): string {
  return `$${usd.toLocaleString('en-US', { maximumSignificantDigits: 6, useGrouping: false })}`
}

function headersFor(
  unit: 'requests' | 'tokens',
  limitName: Claim['limitName'],
  claims: Claim[],
  standings: Standing[],
): RateHeaders {
  let tightest: { limit: number; remaining: number; resetMs: number } | null = null
  claims.forEach(({ limit, limitName: name }, index) => {
    const standing = standings[index]
    if (name !== limitName || !standing) return
    const remaining = Math.max(0, limit - standing.used)
    if (!tightest || remaining < tightest.remaining) {
      tightest = { limit, remaining, resetMs: standing.resetMs }
    }
  })
  if (!tightest) return {}
  const { limit, remaining, resetMs } = tightest as {
    limit: number
    remaining: number
    resetMs: number
  }
  return {
    [`x-ratelimit-limit-${unit}`]: String(limit),
    [`x-ratelimit-remaining-${unit}`]: String(remaining),
    [`x-ratelimit-reset-${unit}`]: writeDuration(resetMs),
  }
}
