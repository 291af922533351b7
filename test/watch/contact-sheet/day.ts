// A day in ten minutes: traffic that rises and falls, a canary that gets worse and is taken back, an upstream that is away for
// a while, an engine that dies; and what gateway and runtime would have told of it, every five seconds.
//
// What is made up are exchanges and engines' figures. The pages are the real ones, so that what is drawn is what is exported.
//
// Knows: the day. Does not know: Prometheus, panels.

import { tmpdir } from 'node:os'

import { HostMetrics } from '../../../runtime/host/metrics.ts'
import { answered, createMetrics, NO_LIMITS } from '../../support/metrics.ts'
import type { ExchangeRecord } from '../../../gateway/exchange/exchange-record.ts'
import type { LimitStanding } from '../../../gateway/limits/standings.ts'
import type { Attempt } from '../../../gateway/routing/route.ts'
import type { EngineStats, HostStats } from '../../../runtime/protocol.ts'

/** Any time will do; this one is always the same. */
export const FROM_S = Date.parse('2026-01-15T12:00:00Z') / 1000
export const STEP_S = 5
const STEPS = 120
export const TO_S = FROM_S + STEPS * STEP_S

/** steps at which something happens */
const CANARY = { begins: 30, widens: 55, isBad: 65, ends: 80 }
const OUTAGE = { begins: 88, ends: 98 }
const DEATH = 105

/** The same numbers every time: mulberry32. */
function createRandom(seed: number): () => number {
  let state = seed
  return () => {
    state = (state + 0x6d2b79f5) | 0
    let mixed = Math.imul(state ^ (state >>> 15), state | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }
}

/** Morning, noon, a dip, afternoon, night: 0.1 to 1. */
function busyness(step: number): number {
  const hour = (step / STEPS) * 24
  const bump = (at: number, width: number) => Math.exp(-(((hour - at) / width) ** 2))
  return 0.1 + 0.75 * bump(11, 2.5) + 0.9 * bump(15.5, 3)
}

/** Prometheus' samples of the day, in OpenMetrics. */
export async function writeDay(): Promise<string> {
  const random = createRandom(42)
  const spread = (median: number, by = 0.5) =>
    median * Math.exp(by * (random() + random() + random() - 1.5) * 1.6)
  const engines = new Map<string, EngineStats>()
  const state = {
    step: 0,
    busy: 0,
    pending: 0,
    dropped: 0,
    hits: 0,
    misses: 0,
    limited: 0,
    open: 0,
  }
  const isDown = () => state.step >= OUTAGE.begins && state.step < OUTAGE.ends
  const metrics = createMetrics({
    dataDir: tmpdir(),
    extra: new Set(['gen_ai', 'vllm', 'limits'] as const),
    runtime: { stats: () => Promise.resolve(hostStats()) },
    targets: {
      *states() {
        const open = isDown() ? ('open' as const) : ('closed' as const)
        const tried = state.step === OUTAGE.ends ? ('half_open' as const) : open
        yield { version: 'gpt-4o@openai', upstream: 'openai', state: tried, open: 3 }
        yield { version: 'guide@7', upstream: 'local', state: 'closed', open: 8 }
      },
    },
    exchangeLog: {
      get pending() {
        return Math.round(state.pending)
      },
      get pendingBytes() {
        return state.pending * 4_000 + 20_000
      },
      maxBytes: 1e7,
      get lagMs() {
        return state.pending * 8
      },
      get dropped() {
        return state.dropped
      },
      damaged: 0,
    },
    deployments: {
      live: {
        list: () => [
          { model: 'guide', number: 11 + [30, 55, 80].filter((at) => state.step >= at).length },
        ],
      },
      ledger: { counts: () => [] },
    },
    limits: {
      ...NO_LIMITS,
      limits: {
        ...NO_LIMITS.limits,
        get refused() {
          return new Map([['requestsPerMinute', state.limited] as const])
        },
        standings: () => standings(state.step),
      },
      cache: {
        get hits() {
          return state.hits
        },
        get misses() {
          return state.misses
        },
        bytes: 1e6,
      },
    },
  })
  const host = new HostMetrics()
  const hostStats = (): HostStats => {
    const usedBytes = [...engines.values()].reduce((sum, { memoryBytes }) => sum + memoryBytes, 0)
    const memory = {
      totalBytes: 16e9,
      freeBytes: 14e9 - usedBytes,
      budgetBytes: 8e9,
      usedBytes,
    }
    return { pid: 1, device: 'cpu', memory, engines: [...engines.values()] }
  }

  /** one answer, or what became of it */
  const exchange = (model: string, version: string, changes: Partial<ExchangeRecord>) => {
    const upstream = version.endsWith('@openai') ? 'openai' : 'local'
    const record = answered(model, version, { upstream, ...changes })
    if (!changes.attempts) record.attempts = [attempt(version, record.timeToFirstTokenMs ?? 50)]
    if (state.open > state.busy * 40) state.open--
    else metrics.opened()
    metrics.closed(record)
  }
  const answer = (
    model: string,
    version: string,
    slowness: number,
    tokens: number,
    usd: number,
  ) => {
    const isLocal = !version.endsWith('@openai')
    const queueMs = isLocal ? Math.max(0, spread(300 * (state.busy - 0.75) * slowness)) : null
    const prefillMs = isLocal ? spread(60 * slowness) : null
    const completionTokens = Math.max(1, Math.round(spread(tokens)))
    const paceMs = spread(14 * slowness * (0.7 + state.busy), 0.2)
    const firstMs = isLocal ? (queueMs ?? 0) + (prefillMs ?? 0) + 8 : spread(420)
    const decodeMs = completionTokens * paceMs
    const promptTokens = Math.round(spread(300))
    exchange(model, version, {
      queueMs,
      prefillMs,
      decodeMs: isLocal ? decodeMs : null,
      timeToFirstTokenMs: firstMs,
      interTokenMs: paceMs,
      totalMs: firstMs + decodeMs,
      overheadMs: spread(1.1 + state.busy),
      promptTokens,
      cachedTokens: Math.round(promptTokens * (isLocal ? 0.35 + 0.2 * state.busy : 0.1)),
      completionTokens,
      costUsd: (usd * (promptTokens + 3 * completionTokens)) / 1e6,
    })
    const pace = metrics.paceOf(model, version)
    for (let token = 0; token < completionTokens; token += 6) pace(spread(paceMs, 0.4) / 1000)
    const engine = engines.get(version)
    if (!engine) return
    engine.decodeTokens += completionTokens
    engine.prefillTokens += promptTokens * (0.65 - 0.2 * state.busy)
    engine.cachedTokens += promptTokens * (0.35 + 0.2 * state.busy)
    engine.steps += completionTokens / (1 + 3 * state.busy)
    engine.stepSequences += completionTokens
    engine.prefillSeconds += (prefillMs ?? 0) / 9_000
    // A step is shared by all that are in it.
    engine.decodeSeconds += decodeMs / 1_000 / 16 / (1 + 2 * state.busy)
  }

  const lines: Told[] = []
  for (let step = 0; step < STEPS; step++) {
    state.step = step
    state.busy = busyness(step) * (0.95 + 0.1 * random())
    const { busy } = state
    for (; state.open < busy * 40; state.open++) metrics.opened()
    const hasCanary = step >= CANARY.begins && step < CANARY.ends
    turnEngines(engines, step, busy, hasCanary)
    const canaryShare = !hasCanary ? 0 : step < CANARY.widens ? 0.1 : 0.4
    const isBad = step >= CANARY.isBad
    for (let n = Math.round(60 * busy); n > 0; n--) {
      if (random() < 0.003) fail('guide', 'guide@7', 'engine_lost')
      else if (random() >= canaryShare) answer('guide', 'guide@7', 1, 120, 0.2)
      else if (isBad && random() < 0.12) fail('guide', 'guide@8', 'engine_lost')
      else answer('guide', 'guide@8', isBad ? 2.2 : 0.8, isBad ? 60 : 110, 0.15)
    }
    for (let n = Math.round(25 * busy); n > 0; n--) answer('summary', 'summary@3', 1.6, 60, 0.3)
    for (let n = Math.round(30 * busy); n > 0; n--) {
      if (!isDown()) answer('chat', 'gpt-4o@openai', 1, 150, 2.5)
      else if (random() < 0.9) fallBack()
      else fail('chat', 'gpt-4o@openai', 'upstream_unreachable')
    }
    for (let n = Math.round(12 * busy * random()); n > 0; n--) refuse('rate_limit_exceeded')
    if (random() < 0.5) refuse('model_not_found')
    if (random() < 0.06 * busy) fail('summary', 'summary@3', 'upstream_timeout')
    state.limited += Math.round(12 * busy * random())
    state.hits += Math.round(20 * busy * (0.3 + 0.2 * random()))
    state.misses += Math.round(20 * busy * 0.6)
    // The log falls behind for a while, and gives some up.
    state.pending = step > 60 && step < 78 ? state.pending + 40 * busy : 12 * busy * random()
    if (step === 77) state.dropped += 9
    const at = FROM_S + step * STEP_S
    lines.push(
      ...told(await metrics.render(), at, 'job="headrace",instance="gateway-1:8080"'),
      ...told(host.render(hostStats()), at, 'job="headrace-runtime",instance="runtime-1:8090"'),
      ...gpu(at, busy),
    )
  }
  metrics.close()
  host.close()
  return `${lines.map(([name, labels, value, at]) => `${name}{${labels}} ${value} ${at}`).join('\n')}\n# EOF\n`

  function attempt(version: string, ms: number, error: string | null = null): Attempt {
    const upstream = version.endsWith('@openai') ? 'openai' : 'local'
    return { version, upstream, ms, error, detail: null }
  }
  function fail(model: string, version: string, code: string) {
    exchange(model, version, {
      outcome: 'failed',
      errorCode: code,
      status: 502,
      costUsd: null,
      attempts: [attempt(version, 30, code)],
      timeToFirstTokenMs: code === 'upstream_timeout' ? 90 : null,
    })
  }
  function fallBack() {
    exchange('chat', 'guide@7', {
      attempts: [attempt('gpt-4o@openai', 5_000, 'upstream_unreachable'), attempt('guide@7', 80)],
    })
  }
  function refuse(code: string) {
    exchange('', '', {
      model: null,
      version: null,
      upstream: null,
      attempts: [],
      outcome: 'refused',
      errorCode: code,
      status: 429,
      timeToFirstTokenMs: null,
      queueMs: null,
      prefillMs: null,
      decodeMs: null,
      overheadMs: null,
      costUsd: null,
      promptTokens: null,
      cachedTokens: null,
      completionTokens: null,
    })
  }
}

function turnEngines(
  engines: Map<string, EngineStats>,
  step: number,
  busy: number,
  hasCanary: boolean,
) {
  const versions = ['guide@7', 'summary@3', ...(hasCanary ? ['guide@8'] : [])]
  for (const version of engines.keys()) if (!versions.includes(version)) engines.delete(version)
  for (const [index, version] of versions.entries()) {
    let engine = engines.get(version)
    if (!engine) engines.set(version, (engine = emptyEngine(version, 4_000 + 2_500 * index)))
    const load = busy * [1, 0.5, 0.35][index]!
    engine.running = Math.min(16, Math.round(18 * load))
    engine.waiting = Math.max(0, Math.round(40 * (load - 0.8)))
    engine.kvTokensUsed = Math.round(engine.running * 700)
    engine.memoryBytes = (1.5 + 0.4 * index) * 1e9 + 3e8 * load
    if (step === DEATH && version === 'summary@3') {
      engine.restarts++
      engine.loadMs = 11_000
      engine.steps = 0
      engine.stepSequences = 0
    }
  }
}

function emptyEngine(version: string, loadMs: number): EngineStats {
  return {
    version,
    state: 'ready',
    pid: 1,
    restarts: 0,
    running: 0,
    waiting: 0,
    slots: 16,
    contextTokens: 4_096,
    kvTokensUsed: 0,
    kvTokensCapacity: 16_384,
    memoryBytes: 0,
    lastUsedAt: 0,
    isWanted: true,
    loadMs,
    steps: 0,
    stepSequences: 0,
    prefillTokens: 0,
    decodeTokens: 0,
    cachedTokens: 0,
    prefillSeconds: 0,
    decodeSeconds: 0,
  }
}

function standings(step: number): LimitStanding[] {
  const of = (name: string, limit: string, share: number, total: number, unit = 1) => ({
    labels: { owner: 'key', name, limit },
    isBudget: limit !== 'requestsPerMinute',
    used: total * unit * share,
    limit: total * unit,
    unit,
  })
  const passed = step / STEPS
  return [
    of('website', 'dailyUsd', 0.4 + 0.4 * passed, 50, 1e9),
    of('batch-jobs', 'dailyTokens', 0.3 + 0.66 * passed, 5e6),
    of('support-bot', 'monthlyUsd', 0.55 + 0.03 * passed, 900, 1e9),
    of('website', 'requestsPerMinute', busyness(step) * 0.9, 600),
  ]
}

type Told = [name: string, labels: string, value: string, at: number]

/** Samples of a page, with what Prometheus adds to them. */
function told(page: string, at: number, target: string): Told[] {
  const samples: Told[] = []
  for (const line of page.split('\n')) {
    const [, name, labels, value] = /^([a-z_:A-Z0-9]+)(?:\{(.*)\})? (\S+)$/.exec(line) ?? []
    if (name === undefined || value === undefined || value === 'Nan') continue
    // That of this process, which plays a day in a moment, says nothing.
    const isDelay = name.endsWith('event_loop_delay_p99_seconds')
    const shown = isDelay ? (0.004 + 0.02 * busyness((at - FROM_S) / STEP_S)).toFixed(4) : value
    samples.push([name, labels ? `${labels},${target}` : target, shown, at])
  }
  return samples
}

/** as NVIDIA's exporter has them */
function gpu(at: number, busy: number): Told[] {
  const labels = 'gpu="0",Hostname="gpu-1",modelName="NVIDIA H200"'
  return [
    ['DCGM_FI_DEV_GPU_UTIL', labels, (95 * busy).toFixed(1), at],
    ['DCGM_FI_DEV_FB_USED', labels, (61_000 + 9_000 * busy).toFixed(0), at],
    ['DCGM_FI_DEV_POWER_USAGE', labels, (120 + 480 * busy).toFixed(0), at],
  ]
}
