// The profile `watch`: Prometheus, as docker/compose.yaml configures it, finds and reads gateway and runtime with their
// tokens, has the rules, and tells Alertmanager of an engine that is killed.
//
// Grafana is not started: no distribution has a package to make a stand-in of. test/watch holds its files against the
// compose file.

import { chat, send } from '../load.ts'
import { say, tally } from '../verdict.ts'
import { Composed, MODEL, until, waitFor } from './composed.ts'
import { readRules } from '../../support/watching.ts'
import type { Verdict } from '../verdict.ts'
import type { Containers } from './containers.ts'

const SERVICES = ['gateway', 'runtime', 'prometheus', 'alertmanager']
const JOBS = ['headrace', 'headrace-runtime', 'prometheus']
/** two scrapes and an evaluation are 45 s */
const PATIENCE_MS = 180_000

interface Target {
  labels: { job: string; instance: string }
  health: 'up' | 'down' | 'unknown'
  lastError: string
}
interface Rules {
  data: { groups: { rules: { name: string; health: string; lastError?: string }[] }[] }
}
interface Alert {
  labels: Record<string, string>
  annotations: Record<string, string>
}

export async function proveWatch(containers: Containers, verdict: Verdict) {
  const options = { profiles: ['cpu', 'watch'], services: SERVICES }
  await using composed = await Composed.up(containers, options)
  const prometheus = composed.urlOf('prometheus')
  const alertmanager = composed.urlOf('alertmanager')
  await until(`${prometheus}/-/ready`)
  await until(`${alertmanager}/-/ready`)
  await send(composed.urlOf('gateway'), chat(composed.adminKey, false, MODEL))

  await judgeTargets(prometheus, verdict)
  await judgeRules(prometheus, verdict)
  await judgeAlert(composed, verdict)
}

async function judgeTargets(prometheus: string, verdict: Verdict) {
  const read = async () => {
    const { data } = await ask<{ data: { activeTargets: Target[] } }>(
      `${prometheus}/api/v1/targets`,
    )
    return data.activeTargets
  }
  const isUp = (targets: Target[]) =>
    JOBS.every((job) => targets.some(({ labels, health }) => labels.job === job && health === 'up'))
  await waitFor(async () => isUp(await read()) || null, PATIENCE_MS)
  const targets = await read()
  for (const { labels, health, lastError } of targets) {
    if (health !== 'up') say(`${labels.job} ${labels.instance} is ${health}: ${lastError}`)
  }
  verdict.hold(
    'Prometheus reads gateway and runtime, each once',
    isUp(targets) && targets.length === JOBS.length,
    tally(targets.map(({ labels, health }) => `${labels.job} ${health}`)),
  )
}

async function judgeRules(prometheus: string, verdict: Verdict) {
  const { data } = await waitFor(async () => {
    const rules = await ask<Rules>(`${prometheus}/api/v1/rules`)
    const isEvaluated = rules.data.groups.every((group) =>
      group.rules.every(({ health }) => health !== 'unknown'),
    )
    return isEvaluated ? rules : null
  }, PATIENCE_MS).then((rules) => rules ?? { data: { groups: [] } })
  const rules = data.groups.flatMap((group) => group.rules)
  for (const { name, health, lastError } of rules) {
    if (health !== 'ok') say(`${name}: ${lastError}`)
  }
  verdict.hold(
    'it has all rules, and can compute each',
    rules.length === readRules().length && rules.every(({ health }) => health === 'ok'),
    `${rules.length} of ${readRules().length}, ${tally(rules.map(({ health }) => health))}`,
  )
}

async function judgeAlert(composed: Composed, verdict: Verdict) {
  const prometheus = composed.urlOf('prometheus')
  const query = encodeURIComponent('headrace_engine_restarts_total')
  await waitFor(async () => {
    const { data } = await ask<{ data: { result: unknown[] } }>(
      `${prometheus}/api/v1/query?query=${query}`,
    )
    return data.result.length > 0 || null
  }, PATIENCE_MS)
  say('The engine is killed.')
  const before = performance.now()
  const killed = await composed.exec('runtime', 'node', '-e', KILL_ENGINES)
  const alert = await waitFor(async () => {
    const alerts = await ask<Alert[]>(`${composed.urlOf('alertmanager')}/api/v2/alerts`)
    return alerts.find(({ labels }) => labels['alertname'] === 'HeadraceEngineRestarts')
  }, PATIENCE_MS)
  const seconds = ((performance.now() - before) / 1000).toFixed(0)
  const { model, version } = alert?.labels ?? {}
  verdict.hold(
    'an engine that is killed reaches Alertmanager, with model and version',
    model === MODEL && version === `${MODEL}@1`,
    alert ? `${alert.annotations['summary']}, after ${seconds} s` : `nothing; killed: ${killed}`,
  )
}

/** In the runtime's container: ends each process that runs the engine. */
const KILL_ENGINES = `
  const { readdirSync, readFileSync } = require('node:fs')
  for (const pid of readdirSync('/proc').filter((name) => /^[0-9]+$/.test(name))) {
    const command = readFileSync('/proc/' + pid + '/cmdline', 'utf8').split('\\0')
    if (!command.some((word) => word.endsWith('runtime/engine/main.ts'))) continue
    process.kill(Number(pid), 'SIGKILL')
    console.log(pid)
  }`

async function ask<Answer>(url: string): Promise<Answer> {
  const response = await fetch(url)
  if (!response.ok) throw new Error(`${url}: ${response.status} ${await response.text()}`)
  return (await response.json()) as Answer
}
