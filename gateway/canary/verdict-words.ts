// What a guard found, in words, for the ledger and whoever reads it later.

import type { GuardName, GuardVerdict } from './guards.ts'

interface Words {
  figure: string
  unit: 'share' | 'ms' | 'score'
  allowed: (limit: number) => string
  test: string
}

const points = (limit: number) => `up to ${tidy(limit * 100)} points more`
const times = (limit: number) => `up to ${tidy(limit)} times as long`

const WORDS: Record<GuardName, Words> = {
  errorRate: {
    figure: 'share of failed exchanges',
    unit: 'share',
    allowed: points,
    test: 'exact binomial test',
  },
  refusalRate: {
    figure: 'share of refused answers',
    unit: 'share',
    allowed: points,
    test: 'exact binomial test',
  },
  timeToFirstToken: {
    figure: '95th percentile of the time to the first token',
    unit: 'ms',
    allowed: times,
    test: 'exceedance test',
  },
  total: {
    figure: '95th percentile of the total time',
    unit: 'ms',
    allowed: times,
    test: 'exceedance test',
  },
  feedback: {
    figure: 'mean feedback score',
    unit: 'score',
    allowed: (limit) => `up to ${tidy(limit)} less`,
    test: "Welch's t-test",
  },
}

/** As in: share of failed exchanges 31 % of 58 against 1.2 % of 1102 … */
export function wordsOf(verdict: GuardVerdict): string {
  const { guard, limit, canary, live, canarySample, liveSample, pValue, alpha, looks } = verdict
  const { figure, unit, allowed, test } = WORDS[guard]
  const side = (value: number | null, sample: number) => `${tell(value, unit)} of ${sample}`
  return (
    `${figure} ${side(canary, canarySample)} against ${side(live, liveSample)} of the live version ` +
    `(allowed: ${allowed(limit)}; ${test}, look ${looks}, p = ${tidy(pValue ?? 1)}, alarm at ${tidy(alpha ?? 0)})`
  )
}

function tell(value: number | null, unit: Words['unit']): string {
  if (value === null) return 'nothing'
  if (unit === 'share') return `${tidy(value * 100)} %`
  return unit === 'ms' ? `${Math.round(value)} ms` : tidy(value)
}

const tidy = (value: number) => String(Number(value.toPrecision(3)))
