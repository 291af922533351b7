// That nothing makes the page grow without an end, and that it is small enough for what a large installation has.

import assert from 'node:assert/strict'
import { test } from 'node:test'

import { answered, createMetrics, fill, NO_LIMITS, samples } from '../support/metrics.ts'
import type { LimitStanding } from '../../gateway/limits/standings.ts'
import type { ExchangeRecord } from '../../gateway/exchange/exchange-record.ts'

const EVERYTHING = new Set(['gen_ai', 'vllm', 'limits'] as const)

function seriesOf(text: string): number {
  return text.split('\n').filter((line) => line !== '' && !line.startsWith('#')).length
}

/** Standings of that many callers, each with that many limits. */
function standings(callers: number): LimitStanding[] {
  return Array.from({ length: callers }, (_, index) => {
    const labels = { owner: 'key', name: `caller-${index}`, limit: 'dailyUsd' }
    return [
      { labels, isBudget: true, used: 900 + (index % 100), limit: 1_000, unit: 1 },
      {
        labels: { ...labels, limit: 'requestsPerMinute' },
        isBudget: false,
        used: 1,
        limit: 60,
        unit: 1,
      },
    ]
  }).flat()
}

test('a thousand made-up values of every label are room for, and ten thousand cost no more', async () => {
  let names = 0
  const limits = { ...NO_LIMITS.limits, standings: () => standings(names) }
  const metrics = createMetrics({
    extra: EVERYTHING,
    limits: { ...NO_LIMITS, limits },
    targets: {
      *states() {
        for (let at = 0; at < names; at++) {
          yield { version: `v${at}`, upstream: `u${at}`, state: 'open' as const, open: 1 }
        }
      },
    },
  })
  const close = (name: string, changes: Partial<ExchangeRecord>) => {
    const attempts = [
      { version: `tried-${name}`, upstream: `up-${name}`, ms: 1, error: name, detail: null },
      { version: `got-${name}`, upstream: `up-${name}`, ms: 1, error: null, detail: null },
    ]
    metrics.closed(answered(`model-${name}`, `version-${name}`, { attempts, ...changes }))
    metrics.paceOf(`model-${name}`, `version-${name}`)(0.01)
  }
  const grow = async (from: number, to: number) => {
    for (let at = from; at < to; at++) {
      const name = `"\\made\n${at}`
      close(name, {})
      close(name, { outcome: 'failed', errorCode: name, route: `/${name}`, upstream: `up-${name}` })
    }
    names = to
    return seriesOf(await metrics.render())
  }
  const room = await grow(0, 1_200)
  const after = await grow(1_200, 10_000)
  // What is `other` may be new between the two, once for each metric.
  assert.ok(after <= room + 20, `${after - room} more series`)
  const text = await metrics.render()
  assert.ok([...samples(text, 'headrace_metrics_labels_overflown_total')][0]![1] > 1_000)
  assert.match(text, /headrace_requests_total\{[^}]*model="other"/)
  // What is in quotes is written as Prometheus reads it.
  assert.doesNotMatch(text, /^made/m)
})

test('50 models of three versions and 200 callers are less than 2 MB', async () => {
  const limits = { ...NO_LIMITS.limits, standings: () => standings(200) }
  const metrics = createMetrics({
    extra: new Set(['gen_ai', 'limits'] as const),
    limits: { ...NO_LIMITS, limits },
  })
  fill(metrics)
  const text = await metrics.render()
  assert.equal(samples(text, 'headrace_request_duration_seconds_count').size, 150)
  assert.equal(samples(text, 'headrace_budget_used_ratio').size, 200)
  assert.equal(samples(text, 'headrace_limit_remaining').size, 400)
  assert.ok(text.length < 2_000_000, `${text.length} bytes`)
})
