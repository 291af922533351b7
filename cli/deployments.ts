// `headrace deploy`, `canary`, `promote`, `shadow`, `rollback` and `deployments`: what answers for a model, and what did.
//
// They ask the server that runs (server-api.ts): it loads what is to answer before it gives it any traffic.
//
// Exit codes: 0 done, 1 it failed, 2 the command makes no sense.

import { Command, InvalidArgumentError, Option } from 'commander'

import { readDuration, readTime } from './arguments.ts'
import { sentenceOf, tableOf } from './deployment-words.ts'
import { serverApi } from './server-api.ts'
import { readShare, readShares } from './shares.ts'
import { json } from './table.ts'
import { canaryStatusCommand, shadowReportCommand } from './trials.ts'
import type { Settings } from '../gateway/settings/settings.ts'
import type { Entry, Target } from './deployment-words.ts'
import type { Output } from './progress.ts'

export interface DeploymentCommandDeps {
  loadSettings(): Settings
  stdout: Output
}

interface CommonFlags {
  reason?: string
  ifLive?: number
  replace?: boolean
  override?: boolean
  json?: boolean
}

export function deploymentCommands({ loadSettings, stdout }: DeploymentCommandDeps): Command[] {
  const ask = <Answer extends object = Record<string, unknown>>(
    method: 'GET' | 'POST',
    path: string,
    body?: object,
  ) => serverApi(loadSettings()).ask<Answer>(method, path, body)
  const say = (text: string) => void stdout.write(`${text}\n`)
  const change = async (model: string, path: string, body: object, flags: CommonFlags) => {
    const { reason, ifLive, replace, override } = flags
    const asked = { ...body, reason, if_live: ifLive, replace, override }
    const entry = await ask<Entry>('POST', `${pathOf(model)}/${path}`, asked)
    say(flags.json ? json(entry) : sentenceOf(entry))
  }

  const deploy = addOverride(
    new Command('deploy')
      .description('have a version answer for its model; several share the traffic by weights')
      .argument('<version...>', 'model@number, or model@number=weight', readTargets)
      .option('--fallback <version...>', 'asked in this order where none of them could answer')
      .addOption(stickyOption()),
  )
    .addHelpText(
      'after',
      '\nExample:\n  headrace deploy support-chat@4 --reason "fewer wrong prices"' +
        '\n  headrace deploy support-chat@3=90 support-chat@4=10',
    )
    .action((targets: Target[], flags: CommonFlags & { fallback?: string[]; sticky?: string }) => {
      const { fallback: fallbacks, sticky } = flags
      const { version } = targets[0]!
      const body =
        targets.length === 1
          ? { action: 'deploy', version, fallbacks, sticky }
          : { action: 'weights', targets, fallbacks, sticky }
      return change(modelOf(version), 'deployments', body, flags)
    })

  const canary = addOverride(
    new Command('canary')
      .description('give a version a share of the traffic that grows for as long as it does well')
      .argument('<version>', 'model@number', readVersion)
      .option('--share <share>', 'of the traffic at first, 5% or 0.05; without it 5%', readShare)
      .option('--steps <shares>', 'shares after that, the last 100%: 25%,50%,100%', readShares)
      .option(
        '--bake <duration>',
        'how long each share lasts at least; without it 10m',
        readDuration,
      )
      .option('--min-sample <count>', 'exchanges before any guard speaks', readCount)
      .option('--max-error-rate <share>', 'points of failed exchanges above live: 1%', readShare)
      .option('--max-refusal-rate <share>', 'points of refused exchanges above live: 1%', readShare)
      .option(
        '--max-first-token <factor>',
        "of live's p95 of the time to the first token",
        readFactor,
      )
      .option('--max-total <factor>', "of live's p95 of the total time", readFactor)
      .option('--max-feedback-drop <score>', 'of the mean score, 0 to 1, below live', readShare)
      .addOption(stickyOption()),
  )
    .addHelpText(
      'after',
      '\nExample:\n  headrace canary support-chat@4 --share 5% --steps 25%,50%,100% --bake 30m --max-error-rate 1%',
    )
    .action((version: string, flags: CanaryFlags) =>
      change(modelOf(version), 'deployments', canaryBody(version, flags), flags),
    )

  const promote = addCommon(
    new Command('promote')
      .description('give the version on trial all of the traffic, or its next share')
      .argument('<model>')
      .option('--step', 'its next share only'),
  )
    .addHelpText('after', '\nExample:\n  headrace promote support-chat --reason "no complaints"')
    .action((model: string, flags: CommonFlags & { step?: boolean }) =>
      change(model, 'deployments', { action: flags.step ? 'step' : 'promote' }, flags),
    )

  const shadow = addCommon(
    new Command('shadow')
      .description('send a copy of the traffic to a version whose answers nobody sees')
      .argument('<version>', 'model@number, or the model with --off')
      .option('--share <share>', 'of the traffic, 5% or 0.05; without it all of it', readShare)
      .option('--off', 'end it'),
  )
    .addHelpText(
      'after',
      '\nExample:\n  headrace shadow support-chat@4 --share 10%\n  headrace shadow support-chat --off',
    )
    .action((name: string, flags: CommonFlags & { share?: number; off?: boolean }) => {
      if (!flags.off && !VERSION.test(name)) {
        throw new InvalidArgumentError(
          `'${name}' is no version. Allowed is model@number, or the model with --off.`,
        )
      }
      const version = flags.off ? null : name
      const body = { action: 'shadow', version, share: flags.off ? undefined : flags.share }
      return change(modelOf(name), 'deployments', body, flags)
    })

  const rollback = addCommon(
    new Command('rollback')
      .description('go back to the last good state, or to that of any deployment')
      .argument('<model>')
      .option('--to <number>', 'of a deployment: headrace deployments lists them', readCount),
  )
    .addHelpText('after', '\nExample:\n  headrace rollback support-chat --reason "wrong prices"')
    .action((model: string, flags: CommonFlags & { to?: number }) =>
      change(model, 'rollback', { to: flags.to }, flags),
    )

  const deployments = new Command('deployments')
    .description('tell what answered for a model, since when, by whom and why; newest first')
    .argument('<model>')
    .option('--at <time>', 'what was live then, and nothing else', readTime)
    .option('--limit <count>', 'at most so many; without it 20', readCount)
    .option('--before <number>', 'those before this number', readCount)
    .option('--json', 'as the admin API tells it')
    .addHelpText(
      'after',
      '\nExample:\n  headrace deployments support-chat --at 2027-01-31T14:03:00Z',
    )
    .action(async (model: string, flags: HistoryFlags) => {
      const { at, limit, before } = flags
      const query = new URLSearchParams()
      if (at) query.set('time', at.toISOString())
      if (limit !== undefined && !at) query.set('limit', String(limit))
      if (before !== undefined && !at) query.set('before', String(before))
      const path = `${pathOf(model)}/deployments${at ? '/at' : ''}?${query.toString()}`
      const told = await ask('GET', path)
      if (flags.json) return say(json(told))
      const entries = (at ? [told] : told['data']) as Entry[]
      say(tableOf(model, entries, told['has_more'] === true))
    })
  canary.addCommand(canaryStatusCommand({ loadSettings, stdout }))
  shadow.addCommand(shadowReportCommand({ loadSettings, stdout }))
  return [deploy, canary, promote, shadow, rollback, deployments]
}

interface HistoryFlags {
  at?: Date
  limit?: number
  before?: number
  json?: boolean
}

interface CanaryFlags extends CommonFlags {
  share?: number
  steps?: number[]
  bake?: number
  minSample?: number
  maxErrorRate?: number
  maxRefusalRate?: number
  maxFirstToken?: number
  maxTotal?: number
  maxFeedbackDrop?: number
  sticky?: string
}

function canaryBody(version: string, flags: CanaryFlags): object {
  const { share, steps, sticky, bake } = flags
  const guards = {
    min_sample: flags.minSample,
    error_rate: flags.maxErrorRate,
    refusal_rate: flags.maxRefusalRate,
    time_to_first_token: flags.maxFirstToken,
    total: flags.maxTotal,
    feedback: flags.maxFeedbackDrop,
  }
  return { action: 'canary', version, share, steps, sticky, bake_seconds: bake, guards }
}

function addCommon(command: Command): Command {
  return command
    .option('--reason <text>', 'why, for who reads it later')
    .option('--if-live <number>', 'only if this deployment is live still', readCount)
    .option(
      '--replace',
      'where memory has no room for both: end the old version first, requests wait',
    )
    .option('--json', 'tell the deployment as the admin API does')
}

/** Of what gives traffic to versions that had none. */
function addOverride(command: Command): Command {
  return addCommon(command).option(
    '--override',
    'although required evaluations are missing or out of bounds; needs --reason',
  )
}

function stickyOption(): Option {
  return new Option('--sticky <what>', 'what keeps a conversation on one version').choices([
    'caller',
    'session',
    'user',
  ])
}

const modelOf = (version: string) => version.split('@')[0] ?? version
const pathOf = (model: string) => `/admin/models/${encodeURIComponent(model)}`

const VERSION = /^[^@\s]+@\d+$/

function readVersion(text: string): string {
  if (VERSION.test(text)) return text
  throw new InvalidArgumentError('Allowed is model@number, such as support-chat@4.')
}

/** One more of several. */
function readTargets(text: string, before: Target[] = []): Target[] {
  const [id = '', weight = '1'] = text.split('=')
  const version = readVersion(id)
  if (Number(weight) > 0) return [...before, { version, weight: Number(weight) }]
  throw new InvalidArgumentError('Allowed is model@number=weight, such as support-chat@4=10.')
}

function readCount(text: string): number {
  if (/^[1-9]\d{0,8}$/.test(text)) return Number(text)
  throw new InvalidArgumentError('Allowed is a whole number from 1.')
}

function readFactor(text: string): number {
  const factor = /^\d{1,4}(\.\d+)?$/.test(text) ? Number(text) : Number.NaN
  if (factor >= 1 && factor <= 1_000) return factor
  throw new InvalidArgumentError('Allowed is a factor from 1 to 1000, such as 1.5.')
}
