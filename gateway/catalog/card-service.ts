// Of a model card: what the version does in service, what it may cost, and what callers should know.

import { METRICS_DAYS } from './card-data.ts'
import { dollars, large, milliseconds, percent, price, short, whole } from './figures.ts'
import { table } from './markdown.ts'
import type { CardData } from './card-data.ts'
import type { CatalogLimits, CatalogPrice } from '../db/catalog-models.ts'
import type { LiveMetrics } from './live-metrics.ts'

export function servicePart({ metrics }: CardData): string | null {
  if (!metrics) return null
  const title = `## In service\n\nIn the last ${METRICS_DAYS} days, of this version alone.`
  if (metrics.requests === 0) return `${title} *There were no requests.*`
  const { totalMs, timeToFirstTokenMs, tokensPerSecond, errorRate } = metrics
  const rows: (readonly [string, string | null])[] = [
    ['Requests', whole(metrics.requests)],
    ['Failed', errorRate === null ? null : percent(errorRate)],
    ['Refused', metrics.refused === 0 ? null : whole(metrics.refused)],
    ['Time to first token', timeToFirstTokenMs && pairOf(timeToFirstTokenMs)],
    ['Whole answer', totalMs && pairOf(totalMs)],
    [
      'Throughput',
      tokensPerSecond === null
        ? null
        : `${short(tokensPerSecond)} tokens a second, in hours with requests`,
    ],
    ['Tokens', `${large(metrics.promptTokens)} read, ${large(metrics.completionTokens)} written`],
    ['Cost', dollars(metrics.costUsd)],
    ['Feedback', feedbackOf(metrics)],
  ]
  const said = rows.flatMap(([name, value]) => (value === null ? [] : [[`**${name}**`, value]]))
  return `${title}\n\n${table(said[0]!, said.slice(1))}`
}

const pairOf = ({ p50, p95 }: { p50: number; p95: number }) =>
  `${milliseconds(p50)} for half of them, ${milliseconds(p95)} for 95 of 100`

function feedbackOf({ feedback }: LiveMetrics): string | null {
  const { given, meanScore, up, down } = feedback
  if (given === 0) return null
  const score = meanScore === null ? [] : [`${short(meanScore)} of 5`]
  const thumbs = up + down === 0 ? [] : [`${whole(up)} up, ${whole(down)} down`]
  return [...score, ...thumbs, `${whole(given)} said something`].join('; ')
}

const LIMITS: Record<keyof CatalogLimits, string> = {
  context_tokens: 'Tokens of prompt and answer together',
  output_tokens: 'Tokens of one answer',
  requests_per_minute: 'Requests a minute',
  concurrent_requests: 'Requests at once',
}

const PRICES: Record<keyof CatalogPrice, string> = {
  input: 'Prompt, a million tokens',
  cached_input: 'Prompt that was cached, a million tokens',
  output: 'Answer, a million tokens',
  second: 'Computing, a second',
}

export function pricePart({ model, version }: CardData): string | null {
  const said = version?.price ?? model.price
  const prices = (Object.keys(PRICES) as (keyof CatalogPrice)[]).flatMap((name) => {
    const value = said?.[name]
    return value === undefined ? [] : [[PRICES[name], price(value)]]
  })
  const limits = (Object.keys(LIMITS) as (keyof CatalogLimits)[]).flatMap((name) => {
    const value = model.limits[name]
    return value === undefined ? [] : [[`At most: ${LIMITS[name].toLowerCase()}`, whole(value)]]
  })
  const rows = [...prices, ...limits]
  return rows.length === 0 ? null : `## Prices and limits\n\n${table(['What', 'Figure'], rows)}`
}
