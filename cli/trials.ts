// `headrace canary status` and `headrace shadow report`: how versions on trial are doing.
//
// They ask the server that runs, as the commands do that start them.
//
// Exit codes: 0 done, 1 it failed, 2 the command makes no sense.

import { Command, InvalidArgumentError } from 'commander'

import { readTime } from './arguments.ts'
import { serverApi } from './server-api.ts'
import { percent } from './shares.ts'
import { asTable, json } from './table.ts'
import type { DeploymentCommandDeps } from './deployments.ts'

/** As the admin API tells it. */
interface CanaryStatus {
  model: string
  version: string
  state: 'on_trial' | 'ended'
  share: number | null
  ended: number | null
  canary_sample: number
  live_sample: number
  guards: {
    guard: string
    looks: number
    p_value: number | null
    alpha: number | null
    next_look_at: number
    breached: boolean
    words: string
    canary: number | null
    live: number | null
  }[]
  next: {
    action: string
    share: number | null
    not_before: string | null
    missing: { what: string; have: number; need: number }[]
  }
}

interface ShadowSums {
  version: string
  live_version: string
  requests: number
  failed: number
  equal: number
  mean_similarity: number | null
  median_similarity: number | null
  p50_ms: number | null
  p95_ms: number | null
  live_p50_ms: number | null
  live_p95_ms: number | null
  cost_usd: number
}

interface Shadow {
  id: string
  similarity: number | null
  difference_ms: number
  outcome: string
  error_code: string | null
}

interface ReportFlags {
  version?: string
  since?: Date
  worst?: number
  json?: boolean
}

const NOTHING = 'nothing'
/** of the report's list; the API has the rest */
const MOST_SHOWN = 100

export function canaryStatusCommand({ loadSettings, stdout }: DeploymentCommandDeps): Command {
  return new Command('status')
    .description('tell what the guards of the version on trial say, and what comes next')
    .argument('<model>')
    .option('--json', 'as the admin API tells it')
    .addHelpText('after', '\nExample:\n  headrace canary status support-chat')
    .action(async (model: string, flags: { json?: boolean }) => {
      const path = `/admin/models/${encodeURIComponent(model)}/canary`
      const status = await serverApi(loadSettings()).ask<CanaryStatus>('GET', path)
      stdout.write(`${flags.json ? json(status) : statusText(status)}\n`)
    })
}

export function shadowReportCommand({ loadSettings, stdout }: DeploymentCommandDeps): Command {
  return new Command('report')
    .description("tell how alike, how fast and how dear a shadow's answers are")
    .argument('<model>')
    .option('--version <version>', "only this version's answers")
    .option('--since <time>', 'exchanges from this time on', readTime)
    .option('--worst <count>', 'list the newest that are least like the live answer', readWorst)
    .option('--json', 'as the admin API tells it')
    .addHelpText('after', '\nExample:\n  headrace shadow report support-chat --worst 10')
    .action(async (model: string, flags: ReportFlags) => {
      const { ask } = serverApi(loadSettings())
      const path = `/admin/models/${encodeURIComponent(model)}/shadows`
      const query = new URLSearchParams()
      if (flags.version) query.set('version', flags.version)
      if (flags.since) query.set('since', flags.since.toISOString())
      const summary = await ask('GET', `${path}/summary?${query.toString()}`)
      if (flags.json) return void stdout.write(`${json(summary)}\n`)
      const sums = summary['data'] as ShadowSums[]
      stdout.write(`${sumsTable(sums)}\n`)
      if (flags.worst === undefined || sums.length === 0) return
      query.set('limit', String(MOST_SHOWN))
      const { data } = await ask('GET', `${path}?${query.toString()}`)
      const worst = (data as Shadow[])
        .toSorted((a, b) => (a.similarity ?? -1) - (b.similarity ?? -1))
        .slice(0, flags.worst)
      stdout.write(`\n${worstTable(worst)}\n`)
    })
}

function readWorst(text: string): number {
  if (/^([1-9]\d?|100)$/.test(text)) return Number(text)
  throw new InvalidArgumentError(`Allowed is a whole number from 1 to ${MOST_SHOWN}.`)
}

function statusText(status: CanaryStatus): string {
  const { version, model, share, canary_sample: ofCanary, live_sample: ofLive, guards } = status
  const where =
    status.state === 'ended'
      ? `${version} was on trial for ${model} and ended${status.ended === null ? '' : ` with deployment ${status.ended}`}.`
      : `${version} is on trial for ${model} with ${told(share)} of the traffic.`
  const which = status.state === 'ended' ? 'its last' : 'that'
  const lines = [
    where,
    `With ${which} share it answered ${ofCanary} exchanges, the live version ${ofLive}.`,
  ]
  if (guards.length > 0) {
    const rows = guards.map((guard) => [
      guard.guard,
      figure(guard.canary),
      figure(guard.live),
      String(guard.looks),
      figure(guard.p_value),
      figure(guard.alpha),
      guard.breached ? 'BREACHED' : 'kept',
    ])
    lines.push('', asTable(['GUARD', 'CANARY', 'LIVE', 'LOOKS', 'P', 'ALARM AT', 'IT IS'], rows))
  }
  if (status.state === 'on_trial') lines.push('', nextText(status.next))
  return lines.join('\n')
}

function nextText({ action, share, missing }: CanaryStatus['next']): string {
  const what = {
    rollback: 'Next: it is taken back.',
    promote: 'Next: it gets all of the traffic.',
  }[action]
  const then = what ?? `Next: ${told(share)} of the traffic.`
  if (missing.length === 0) return then
  const lacks = missing.map(
    ({ what, have, need }) => `${what.replace('_', ' ')} ${have} of ${need}`,
  )
  return `${then} Before that: ${lacks.join(', ')}.`
}

function sumsTable(sums: ShadowSums[]): string {
  if (sums.length === 0) return 'No shadow has answered anything.'
  return asTable(
    ['SHADOW', 'LIVE', 'COPIES', 'FAILED', 'EQUAL', 'SIMILARITY', 'P50 MS', 'P95 MS', 'USD'],
    sums.map((each) => [
      each.version,
      each.live_version,
      String(each.requests),
      String(each.failed),
      String(each.equal),
      figure(each.mean_similarity),
      `${figure(each.p50_ms)} / ${figure(each.live_p50_ms)}`,
      `${figure(each.p95_ms)} / ${figure(each.live_p95_ms)}`,
      figure(each.cost_usd),
    ]),
  )
}

function worstTable(shadows: Shadow[]): string {
  return asTable(
    ['EXCHANGE', 'SIMILARITY', 'SLOWER BY MS', 'OUTCOME'],
    shadows.map(({ id, similarity, difference_ms: ms, outcome, error_code: code }) => [
      id,
      figure(similarity),
      String(Math.round(ms)),
      code ?? outcome,
    ]),
  )
}

const figure = (value: number | null) =>
  value === null ? '-' : String(Number(value.toPrecision(3)))
const told = (share: number | null) => (share === null ? NOTHING : percent(share))
