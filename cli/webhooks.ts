// `headrace webhooks`: who is told of deployments, and what became of the calls to them.
//
// They ask the server that runs (server-api.ts): it has what secrets are sealed with, and makes the calls.
//
// Exit codes: 0 done, 1 it failed, 2 the command makes no sense.

import { Command, Option } from 'commander'

import { DELIVERY_STATES } from '../gateway/db/webhook-deliveries.ts'
import { moreRows, readDuration } from './arguments.ts'
import { readFile } from './catalog-arguments.ts'
import { serverApi } from './server-api.ts'
import { asTable, json } from './table.ts'
import type { DatabaseCommandDeps } from './database.ts'

/** As the admin API tells it. */
interface Webhook {
  id: string | null
  url: string
  secret_hint: string
  previous_secret_until: string | null
  source: 'file' | 'api'
}

/** as it is told once */
interface MadeSecret extends Webhook {
  secret: string
}

interface Delivery {
  id: string
  type: string
  url: string
  state: string
  attempts: number
  created_at: string
  last_error: string | null
}

interface DeliveryFlags {
  state?: string
  limit: string
  after?: string
  json?: boolean
}

export function webhooksCommand({
  loadSettings,
  stdout,
}: Pick<DatabaseCommandDeps, 'loadSettings' | 'stdout'>): Command {
  const ask = <Answer extends object = Record<string, unknown>>(
    method: 'GET' | 'POST' | 'DELETE',
    path: string,
    body?: object,
  ) => serverApi(loadSettings()).ask<Answer>(method, `/admin/webhooks${path}`, body)
  const say = (text: string) => void stdout.write(`${text}\n`)
  const webhooks = new Command('webhooks').description('say who is told of deployments')

  webhooks
    .command('list')
    .description('list the addresses that are told, those of headrace.yaml too')
    .option('--json', 'as the admin API tells it')
    .addHelpText('after', '\nExample:\n  headrace webhooks list')
    .action(async (flags: { json?: boolean }) => {
      const told = await ask('GET', '')
      say(flags.json ? json(told) : webhookTable(told['data'] as Webhook[]))
    })

  webhooks
    .command('add')
    .description('have an address told of every deployment')
    .argument('<url>', 'https://… or http://…')
    .addOption(secretOption())
    .option('--json', 'as the admin API tells it')
    .addHelpText(
      'after',
      '\nExample:\n  headrace webhooks add https://hooks.example.com/headrace' +
        '\n  headrace webhooks add https://hooks.example.com/headrace --secret @secret.txt',
    )
    .action(async (url: string, { secret, json: asJson }: { secret?: string; json?: boolean }) => {
      const told = await ask<MadeSecret>('POST', '', { url, secret })
      if (asJson) return say(json(told))
      say(`${url} is told from now on (${told.id}).${shownOnce(told, secret)}`)
    })

  webhooks
    .command('rotate')
    .description('give a webhook another secret; both sign for a while')
    .argument('<id>', 'as list tells it')
    .addOption(secretOption())
    .addOption(
      new Option('--overlap <while>', 'how long the one of before signs as well: 0s, 15m, 12h, 7d')
        .argParser(readDuration)
        .default(86_400, '24h'),
    )
    .option('--json', 'as the admin API tells it')
    .addHelpText(
      'after',
      '\nExample:\n  headrace webhooks rotate 0190163d-8694-739b-aea5-966c26f8ad91 --overlap 12h',
    )
    .action(
      async (
        id: string,
        { secret, overlap, json: asJson }: { secret?: string; overlap: number; json?: boolean },
      ) => {
        const body = { secret, overlap_seconds: overlap }
        const told = await ask<MadeSecret>('POST', `/${encodeURIComponent(id)}/rotate`, body)
        if (asJson) return say(json(told))
        const { url, previous_secret_until: until } = told
        const before =
          until === null
            ? 'The one of before signs no more.'
            : `The one of before signs as well until ${until.slice(0, 19)}Z.`
        say(`${url} has another secret. ${before}${shownOnce(told, secret)}`)
      },
    )

  webhooks
    .command('remove')
    .description('tell an address nothing any more')
    .argument('<id>', 'as list tells it')
    .addHelpText(
      'after',
      '\nExample:\n  headrace webhooks remove 0190163d-8694-739b-aea5-966c26f8ad91',
    )
    .action(async (id: string) => {
      const { url } = await ask('DELETE', `/${encodeURIComponent(id)}`)
      say(`${String(url)} is told nothing any more.`)
    })

  webhooks
    .command('test')
    .description('call an address now and tell what it answered')
    .argument('<id>', 'as list tells it')
    .addHelpText(
      'after',
      '\nExample:\n  headrace webhooks test 0190163d-8694-739b-aea5-966c26f8ad91',
    )
    .action(async (id: string) => {
      const { url, state, last_error: error } = await ask('POST', `/${encodeURIComponent(id)}/test`)
      if (state === 'delivered') return say(`${String(url)} received it.`)
      throw new Error(`${String(url)} did not receive it: ${String(error)}`)
    })

  webhooks
    .command('deliveries')
    .description('list calls, newest first, with what became of them')
    .addOption(new Option('--state <state>', 'only these').choices(DELIVERY_STATES))
    .option('--limit <count>', 'at most so many, up to 100', '20')
    .option('--after <id>', 'those before this one')
    .option('--json', 'as the admin API tells it')
    .addHelpText('after', '\nExample:\n  headrace webhooks deliveries --state given_up')
    .action(async ({ state, limit, after, json: asJson }: DeliveryFlags) => {
      const query = new URLSearchParams({
        limit,
        ...(state !== undefined && { state }),
        ...(after !== undefined && { after }),
      })
      const told = await ask('GET', `/deliveries?${query.toString()}`)
      if (asJson) return say(json(told))
      const rows = told['data'] as Delivery[]
      say(deliveryTable(rows) + moreRows(told['has_more'] === true, rows.at(-1)?.id))
    })

  webhooks
    .command('resend')
    .description('make a call again, whatever became of it')
    .argument('<delivery>', 'id, as deliveries tells it')
    .addHelpText(
      'after',
      '\nExample:\n  headrace webhooks resend 0190163d-8694-739b-aea5-966c26f8ad91',
    )
    .action(async (id: string) => {
      const { type, url } = await ask('POST', `/deliveries/${encodeURIComponent(id)}/resend`)
      say(`${String(type)} is told to ${String(url)} again.`)
    })
  return webhooks
}

const secretOption = () =>
  new Option(
    '--secret <text>',
    'what calls are signed with, or @file; without it one is made and shown once',
  ).argParser(readSecret)

/** In a file it is in nobody's history of commands; the line's end is not part of it. */
function readSecret(text: string): string {
  return text.startsWith('@') ? readFile(text.slice(1)).toString('utf8').trim() : text
}

/** @param given undefined: it was made */
function shownOnce(told: MadeSecret, given: string | undefined): string {
  if (given !== undefined) return ''
  return ` Its secret, which is not shown again:\n${told.secret}`
}

function webhookTable(webhooks: Webhook[]): string {
  if (webhooks.length === 0) return 'Nobody is told. Add an address: headrace webhooks add'
  return asTable(
    ['ID', 'URL', 'SECRET', 'FROM'],
    webhooks.map(({ id, url, secret_hint: hint, previous_secret_until: until, source }) => [
      id ?? '-',
      url,
      until === null || Date.parse(until) < Date.now()
        ? hint
        : `${hint}, and the one of before until ${until.slice(0, 19)}`,
      source === 'file' ? 'headrace.yaml' : 'admin API',
    ]),
  )
}

function deliveryTable(deliveries: Delivery[]): string {
  if (deliveries.length === 0) return 'There are no such calls.'
  return asTable(
    ['ID', 'AT', 'WHAT', 'TO', 'STATE', 'ATTEMPTS', 'LAST ERROR'],
    deliveries.map((each) => [
      each.id,
      each.created_at.slice(0, 19),
      each.type,
      each.url,
      each.state,
      String(each.attempts),
      each.last_error ?? '-',
    ]),
  )
}
