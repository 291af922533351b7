// `headrace webhooks`: who is told of deployments, and what became of the calls to them.
//
// They ask the server that runs (server-api.ts): it has what secrets are sealed with, and makes the calls.
//
// Exit codes: 0 done, 1 it failed, 2 the command makes no sense.

import { Command, Option } from 'commander'

import { DELIVERY_STATES } from '../gateway/db/webhook-deliveries.ts'
import { serverApi } from './server-api.ts'
import { asTable, json } from './table.ts'
import type { DatabaseCommandDeps } from './database.ts'

/** As the admin API tells it. */
interface Webhook {
  id: string | null
  url: string
  secret_hint: string
  source: 'file' | 'api'
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
  const ask = (method: 'GET' | 'POST' | 'DELETE', path: string, body?: object) =>
    serverApi(loadSettings()).ask(method, `/admin/webhooks${path}`, body)
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
    .option('--secret <text>', 'what calls are signed with; without it one is made and shown once')
    .option('--json', 'as the admin API tells it')
    .addHelpText('after', '\nExample:\n  headrace webhooks add https://hooks.example.com/headrace')
    .action(async (url: string, { secret, json: asJson }: { secret?: string; json?: boolean }) => {
      const told = await ask('POST', '', { url, secret })
      if (asJson) return say(json(told))
      const made = `Its secret, which is not shown again:\n${String(told['secret'])}`
      say(`${url} is told from now on (${String(told['id'])}).${secret ? '' : ` ${made}`}`)
    })

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
      say(asJson ? json(told) : deliveryTable(told['data'] as Delivery[]))
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

function webhookTable(webhooks: Webhook[]): string {
  if (webhooks.length === 0) return 'Nobody is told. Add an address: headrace webhooks add'
  return asTable(
    ['ID', 'URL', 'SECRET', 'FROM'],
    webhooks.map(({ id, url, secret_hint: hint, source }) => [
      id ?? '-',
      url,
      hint,
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
