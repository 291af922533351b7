// What Prometheus would read, taken apart; and a registry of metrics that nobody serves.

import { Metrics } from '../../gateway/metrics/metrics.ts'
import { exchangeRecord } from './exchange-record.ts'
import type { MetricsOptions } from '../../gateway/metrics/metrics.ts'
import type { ExchangeRecord } from '../../gateway/exchange/exchange-record.ts'

/** The values of a metric by its labels, as they are written. */
export function samples(text: string, name: string): Map<string, number> {
  const lines = text
    .split('\n')
    .filter((line) => line.startsWith(`${name}{`) || line.startsWith(`${name} `))
  return new Map(
    lines.map((line) => {
      const end = line.lastIndexOf(' ')
      return [line.slice(name.length, end), Number(line.slice(end + 1))]
    }),
  )
}

export const NO_LIMITS = {
  limits: { refused: new Map(), isDegraded: false, replicas: 1, standings: () => [] },
  admission: { inHand: 0, refused: 0 },
  cache: { hits: 0, misses: 0, bytes: 0 },
}

export function createMetrics(options: Partial<MetricsOptions> = {}): Metrics {
  return new Metrics({
    release: '0.0.0-test',
    runtime: null,
    targets: { states: () => [] },
    exchangeLog: {
      pending: 0,
      pendingBytes: 0,
      maxBytes: 1,
      lagMs: 0,
      dropped: 0,
      damaged: 0,
    },
    limits: NO_LIMITS,
    ...options,
  })
}

/** An exchange as a local version's answer leaves it. */
export function answered(
  model: string,
  version: string,
  changes: Partial<ExchangeRecord> = {},
): ExchangeRecord {
  return {
    ...exchangeRecord(),
    model,
    version,
    upstream: 'local',
    attempts: [{ version, upstream: 'local', ms: 42, error: null, detail: null }],
    finishReasons: ['stop'],
    promptTokens: 120,
    cachedTokens: 40,
    completionTokens: 60,
    costUsd: 0.0012,
    queueMs: 3,
    prefillMs: 40,
    decodeMs: 900,
    timeToFirstTokenMs: 45,
    interTokenMs: 15,
    overheadMs: 1.2,
    totalMs: 950,
    outcome: 'completed',
    status: 200,
    errorCode: null,
    ...changes,
  }
}

/** 50 models of three versions, a third of them upstreams', each with answers, a failure and a refusal. */
export function fill(metrics: Metrics, models = 50, versions = 3) {
  for (let m = 0; m < models; m++) {
    const model = `team-model-${String(m).padStart(2, '0')}`
    for (let v = 1; v <= versions; v++) {
      const upstream = m % 3 === 0 ? 'openai' : 'local'
      const version = upstream === 'local' ? `${model}@${v}` : `${model}-${v}@openai`
      const phases = upstream === 'local' ? {} : { queueMs: null, prefillMs: null, decodeMs: null }
      const attempts = [{ version, upstream, ms: 42, error: null, detail: null }]
      const record = answered(model, version, { upstream, attempts, ...phases })
      metrics.closed(record)
      metrics.closed({ ...record, timeToFirstTokenMs: 480, totalMs: 3_000 })
      const pace = metrics.paceOf(model, version)
      for (let token = 0; token < 60; token++) pace(0.015)
      metrics.closed({
        ...record,
        outcome: 'failed',
        status: 502,
        errorCode: 'engine_lost',
        costUsd: null,
        attempts: [{ version, upstream, ms: 42, error: 'engine_lost', detail: null }],
      })
    }
  }
}
