// Shows that what watches has something to see: a real Prometheus scrapes a gateway and a runtime under traffic of all kinds,
// and every panel and every rule has an answer; an engine is killed, and a real Alertmanager tells of it, by model and
// version.
//
//   make watch-proof

import { readFileSync } from 'node:fs'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'

import { Pool } from 'pg'

import { makeFolder } from '../support/folder.ts'
import { startAlertmanager, TestPrometheus } from '../support/prometheus.ts'
import {
  filledIn,
  filledSql,
  metricsIn,
  panelsOf,
  PROMETHEUS,
  readBoards,
  readRules,
} from '../support/watching.ts'
import { ProofPostgres } from './database.ts'
import { ProofLibrary } from './library.ts'
import { ADMIN_KEY, Replica } from './replica.ts'
import { startUpstream } from './upstream.ts'
import { say, Verdict } from './verdict.ts'
import type { Lasting } from '../support/lasting.ts'

const TRAFFIC_MS = 15_000
const PATIENCE_MS = 60_000
const PRICE = { input: 100, output: 200 }

/** of others' exporters, or of what does not happen here: log-writers, TLS, canaries that fail */
const ELSEWHERE = /^(?:DCGM_|probe_|headrace_log_writer_|headrace_canary_|headrace_upstream_cert)/
/** versions of the library have no price of their own */
const FREE = /headrace_cost_usd_total\{model="guide"/

const verdict = new Verdict()
await using undo = new AsyncDisposableStack()
const t: Lasting = { after: (stop) => undo.defer(stop) }

const database = await ProofPostgres.start(t)
const library = await ProofLibrary.start(t, 2, 'http://127.0.0.1:0')
await library.add('guide', { seed: 1 })
const upstream = await startUpstream(t)
const folder = await makeFolder(t, 'watch')
const config = join(folder, 'headrace.yaml')
await writeFile(config, JSON.stringify(declaration(upstream.url)))
const gateway = await Replica.start(t, {
  name: 'a',
  library,
  databaseUrl: database.url,
  env: { HEADRACE_CONFIG: config, HEADRACE_METRICS_EXTRA: 'gen_ai,vllm,limits' },
})
const alertmanager = await startAlertmanager(t)
const prometheus = await TestPrometheus.start(t, { config: scraping() })
say('a gateway, a runtime, Prometheus and Alertmanager are there')

await ask(ADMIN_KEY, 'guide')
const second = await library.add('guide', { seed: 3 })
await gateway.ask('POST', '/admin/models/guide/deployments', {
  action: 'deploy',
  version: second,
  reason: 'the proof',
})
await gateway.ask('POST', '/admin/models/guide/rollback', { reason: 'the proof' })
const plenty = await gateway.makeKey('plenty', { requests_per_minute: 100_000, daily_usd: 0.05 })
const little = await gateway.makeKey('little', { requests_per_minute: 5 })
await traffic()

const chosen = {
  model: 'guide',
  version: '.*',
  live: 'guide@1',
  canary: 'guide@2',
  rateInterval: '10s',
}
await judgeRules()
await judgePanels()
await judgeTables()
await judgeAlert()
verdict.tell()

function declaration(url: string) {
  const target = (model: string, more: object = {}) => ({
    upstream: 'compatible',
    model,
    price: PRICE,
    ...more,
  })
  return {
    upstreams: { compatible: { api: 'compatible', base_url: `${url}/v1`, key: 'sk-proof' } },
    models: {
      steady: { targets: [target('steady')] },
      kept: { targets: [target('steady')], cache_s: 600 },
      saved: { targets: [target('failing')], fallbacks: [target('steady')], retries: 0 },
      cut: { targets: [target('cut')], retries: 0 },
      stuck: { targets: [target('slow', { timeouts: { stall_ms: 150 } })], retries: 0 },
    },
  }
}

/** As prometheus.yml has it, every second. */
function scraping() {
  const host = (url: string) => new URL(url).host
  return {
    global: { scrape_interval: '1s', scrape_timeout: '1s', evaluation_interval: '1s' },
    rule_files: [join(PROMETHEUS, 'rules/*.yml')],
    alerting: {
      alertmanagers: [{ static_configs: [{ targets: [alertmanager.url] }] }],
    },
    scrape_configs: [
      { job_name: 'headrace', static_configs: [{ targets: [host(gateway.url)] }] },
      { job_name: 'headrace-runtime', static_configs: [{ targets: [host(library.runtimeUrl)] }] },
    ],
  }
}

async function ask(key: string, model: string, more: object = {}): Promise<void> {
  const body = { model, messages: [{ role: 'user', content: 'a b c a b c' }], max_tokens: 24 }
  const response = await fetch(`${gateway.url}/v1/chat/completions`, {
    method: 'POST',
    headers: { authorization: `Bearer ${key}`, 'content-type': 'application/json' },
    body: JSON.stringify({ ...body, ...more }),
  })
  await response.text().catch(() => {})
}

/** Of all kinds: completed, failed, broken off, stalled, refused, from the cache, by a fallback. */
async function traffic() {
  say(`traffic for ${TRAFFIC_MS / 1000} seconds`)
  const end = performance.now() + TRAFFIC_MS
  const loop = async (pauseMs: number, once: () => Promise<void>) => {
    while (performance.now() < end) {
      await once()
      await sleep(pauseMs)
    }
  }
  const streamed = { stream: true }
  await Promise.all([
    ...Array.from({ length: 4 }, () => loop(20, () => ask(plenty, 'guide', streamed))),
    loop(50, () => ask(plenty, second, streamed)),
    loop(50, () => ask(ADMIN_KEY, 'steady', streamed)),
    loop(100, () => ask(plenty, 'steady')),
    loop(100, () => ask(ADMIN_KEY, 'kept')),
    loop(100, () => ask(ADMIN_KEY, 'saved')),
    loop(200, () => ask(ADMIN_KEY, 'cut', streamed)),
    loop(200, () => ask(ADMIN_KEY, 'stuck', streamed)),
    loop(200, () => ask(little, 'steady')),
    loop(300, () => ask(ADMIN_KEY, 'nobody')),
  ])
}

async function judgeRules() {
  const rules = readRules()
  const silent: string[] = []
  for (const { record, alert, expr } of rules) {
    // An alert has an answer only where something is wrong: what it looks at has to be there.
    const names = record === undefined ? [...metricsIn(expr)] : [record]
    for (const name of names) {
      if (ELSEWHERE.test(name)) continue
      const series = await prometheus.until(name, 5_000)
      if (series.length === 0) silent.push(`${record ?? alert}: ${name}`)
    }
  }
  verdict.hold('every rule has what it reads', silent.length === 0, told(silent, rules.length))
}

async function judgePanels() {
  const silent: string[] = []
  let asked = 0
  for (const { board, title, targets } of panelsOf(readBoards())) {
    for (const { expr } of targets) {
      if (expr === undefined || ELSEWHERE.test(expr.replace(/^max by \(.*?\) \(/, ''))) continue
      const question = filledIn(expr, chosen)
      if (FREE.test(question)) continue
      asked++
      const series = await prometheus.query(question)
      const isThere = series.some(({ points }) => points.some(([, value]) => !Number.isNaN(value)))
      if (!isThere) silent.push(`${board}: ${title}: ${question}`)
    }
  }
  verdict.hold('every query of every panel has an answer', silent.length === 0, told(silent, asked))
}

async function judgeTables() {
  const pool = new Pool({ connectionString: database.url })
  const [from, to] = [new Date(Date.now() - 7_200_000), new Date(Date.now() + 7_200_000)]
  const boards = readBoards()
  const questions = [
    ...panelsOf(boards).flatMap(({ board, title, targets }) =>
      targets.map(({ rawSql }) => [`${board}: ${title}`, rawSql] as const),
    ),
    ...boards.flatMap(({ annotations }) =>
      (annotations?.list ?? []).map(
        ({ name, target }) => [`annotation ${name}`, target?.rawSql] as const,
      ),
    ),
    ...boards.flatMap(({ templating }) =>
      templating.list.map(({ name, query }) => {
        const isSql = typeof query === 'string' && /SELECT/.test(query)
        return [`variable ${name}`, isSql ? query : undefined] as const
      }),
    ),
  ]
  const silent: string[] = []
  let asked = 0
  for (const [name, sql] of questions) {
    if (sql === undefined) continue
    asked++
    const { rows } = await pool.query<Record<string, unknown>>(filledSql(sql, 'guide', from, to))
    const isThere = rows.some((row) => Object.values(row).some((value) => value !== null))
    if (!isThere) silent.push(name)
  }
  await pool.end()
  verdict.hold('every query of the tables has an answer', silent.length === 0, told(silent, asked))
}

async function judgeAlert() {
  const { engines } = await library.runtime.stats()
  const engine = engines.find(({ version }) => version === 'guide@1')
  if (!engine?.pid) throw new Error('guide@1 is not there to be killed.')
  say(`the engine of ${engine.version} is killed`)
  const before = performance.now()
  process.kill(engine.pid, 'SIGKILL')
  const heard = () =>
    alertmanager.told
      .flatMap(({ alerts }) => alerts)
      .find(({ labels }) => labels['alertname'] === 'HeadraceEngineRestarts')
  while (!heard() && performance.now() - before < PATIENCE_MS) await sleep(100)
  const alert = heard()
  const seconds = ((performance.now() - before) / 1000).toFixed(1)
  const { model, version } = alert?.labels ?? {}
  verdict.hold(
    'an engine that is killed is told by a webhook, with model and version',
    model === 'guide' && version === 'guide@1',
    alert ? `${alert.annotations['summary']}, after ${seconds} s` : 'nothing was told',
  )
  const names = new Set(
    alertmanager.told.flatMap(({ alerts }) => alerts.map(({ labels }) => labels['alertname'])),
  )
  say(`told were: ${[...names].join(', ')}`)
  const anchors = readFileSync(join(PROMETHEUS, '../docs/runbooks.md'), 'utf8')
  const isLinked = anchors.includes(`## ${alert?.labels['alertname']}\n`)
  verdict.hold('it says where its runbook is', isLinked, alert?.annotations['runbook_url'] ?? '')
}

function told(silent: string[], of: number): string {
  for (const each of silent) say(`nothing: ${each}`)
  return silent.length === 0 ? `all ${of}` : `${silent.length} of ${of} have nothing`
}
