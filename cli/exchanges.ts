// `headrace exchanges …`: list, show, search and watch what was asked and answered.
//
// It reads the database (database.ts) and sees all of it. That somebody at the command line read what was said is in the
// audit log. Filters are those of the admin API: --where version=guide@7 --where total_ms_min=5000.
//
// Exit codes: 0 done, 1 it failed, 2 the command makes no sense.

import { setTimeout as sleep } from 'node:timers/promises'

import { Command, InvalidArgumentError, Option } from 'commander'

import {
  getExchange,
  getThread,
  listExchanges,
  searchExchanges,
} from '../gateway/administration/exchanges.ts'
import { Tail } from '../gateway/administration/tail.ts'
import { exchangeBody, hitBody } from '../gateway/dialects/admin/exchange.ts'
import { addPageOptions, moreRows, pageOf } from './arguments.ts'
import { withDatabase } from './database.ts'
import { addFilters, FILTER_HELP, filterOf, openAllPseudonyms } from './exchange-filter.ts'
import { asTable, json, timeCell } from './table.ts'
import type { Reader } from '../gateway/administration/exchanges.ts'
import type { Actor } from '../gateway/db/audit.ts'
import type { Pool } from '../gateway/db/pool.ts'
import type { ExchangeRow } from '../gateway/db/exchange-rows.ts'
import type { PageFlags } from './arguments.ts'
import type { DatabaseCommandDeps } from './database.ts'
import type { FilterFlags } from './exchange-filter.ts'

interface Flags extends FilterFlags {
  json?: boolean
}

const POLL_MS = 400

export function exchangesCommand(deps: DatabaseCommandDeps): Command {
  const run = withDatabase(deps)
  const exchanges = new Command('exchanges').description(
    'list, show, search and watch what was asked and answered',
  )

  addPageOptions(
    addFilters(exchanges.command('list').description('list exchanges, newest first')).option(
      '--oldest',
      'oldest first',
    ),
  )
    .addHelpText(
      'after',
      `\nExample:\n  headrace exchanges list --where version=guide@7 --where total_ms_min=5000${FILTER_HELP}`,
    )
    .action((flags: Flags & PageFlags & { oldest?: boolean }) =>
      run(async (pool, actor) => {
        const listing = {
          ...pageOf(flags),
          filter: filterOf(flags),
          order: flags.oldest ? ('oldest' as const) : ('newest' as const),
          withBodies: false,
        }
        const { rows, hasMore } = await listExchanges(pool, await readerFor(pool, actor), listing)
        if (flags.json) return json(rows.map(({ row }) => exchangeBody(row)))
        return table(rows.map(({ row }) => row)) + moreRows(hasMore, rows.at(-1)?.row.id)
      }),
    )

  exchanges
    .command('show')
    .description('show all of an exchange, with what was said')
    .argument('<id>', 'as it was listed, and in x-request-id', readId)
    .addHelpText(
      'after',
      '\nExample:\n  headrace exchanges show 0190a3f2-7c4e-7000-8000-000000000001',
    )
    .action((id: string) =>
      run(async (pool, actor) => {
        const { row, bodies } = await getExchange(pool, await readerFor(pool, actor), id)
        return json(exchangeBody(row, bodies))
      }),
    )

  exchanges
    .command('thread')
    .description('show the conversation that an exchange belongs to, oldest first')
    .argument('<id>', 'of any of its exchanges', readId)
    .option('--json', 'as JSON, with what was said')
    .addHelpText(
      'after',
      '\nExample:\n  headrace exchanges thread 0190a3f2-7c4e-7000-8000-000000000001',
    )
    .action((id: string, flags: { json?: boolean }) =>
      run(async (pool, actor) => {
        const { rows, isCut } = await getThread(
          pool,
          await readerFor(pool, actor),
          id,
          flags.json ?? false,
        )
        if (flags.json) return json(rows.map(({ row, bodies }) => exchangeBody(row, bodies)))
        const more = isCut ? '\nThere is more of it than is shown.' : ''
        return table(rows.map(({ row }) => row)) + more
      }),
    )

  addFilters(
    exchanges
      .command('search')
      .description('find exchanges by what was said, best first')
      .argument('<words...>', 'all of these; "a phrase", one or another, -not')
      .addOption(new Option('--limit <rows>', 'rows at most').argParser(readLimit).default(20))
      .option('--json', 'as JSON'),
  )
    .addHelpText(
      'after',
      `\nExample:\n  headrace exchanges search refund "next week"${FILTER_HELP}`,
    )
    .action((words: string[], flags: Flags & { limit: number }) =>
      run(async (pool, actor) => {
        const { searchLanguage: language } = deps.loadSettings()
        const { limit } = flags
        const search = {
          filter: filterOf(flags),
          text: words.join(' '),
          language,
          limit,
          offset: 0,
        }
        const found = await searchExchanges(pool, await readerFor(pool, actor), search)
        if (flags.json) return json(found.hits.map((hit) => hitBody(hit.row, hit)))
        if (found.hits.length === 0) return 'Nothing was found.'
        const rows = found.hits.map(({ row, prompt, answer }) => [
          timeCell(row.startedAt),
          row.id,
          oneLine(prompt ?? answer ?? ''),
        ])
        return asTable(['WHEN', 'ID', 'WHAT'], rows)
      }),
    )

  addFilters(
    exchanges
      .command('tail')
      .description('show exchanges as they are written, until it is interrupted')
      .option('--json', 'as JSON, a line each'),
  )
    .addHelpText(
      'after',
      `\nExample:\n  headrace exchanges tail --where outcome=failed${FILTER_HELP}`,
    )
    .action((flags: Flags) =>
      run(async (pool, actor) => {
        const tail = await Tail.open(pool, await readerFor(pool, actor), filterOf(flags))
        for (;;) {
          const { rows, hasMore } = await tail.next()
          for (const row of rows) {
            const line = flags.json ? JSON.stringify(exchangeBody(row)) : cellsOf(row).join('  ')
            deps.stdout.write(`${line}\n`)
          }
          if (!hasMore) await sleep(POLL_MS)
        }
      }),
    )
  return exchanges
}

const UUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i

function readId(text: string): string {
  if (UUID.test(text)) return text.toLowerCase()
  throw new InvalidArgumentError('Allowed is the id of an exchange.')
}

function readLimit(text: string): number {
  if (/^([1-9]\d?|100)$/.test(text)) return Number(text)
  throw new InvalidArgumentError('Allowed is a whole number from 1 to 100.')
}

async function readerFor(pool: Pool, actor: Actor): Promise<Reader> {
  return { actor, pseudonyms: await openAllPseudonyms(pool), projectId: null }
}

const HEADINGS = ['WHEN', 'CALLER', 'VERSION', 'OUTCOME', 'STATUS', 'TOKENS', 'MS', 'USD', 'ID']

function table(rows: ExchangeRow[]): string {
  return rows.length === 0 ? 'There are no such exchanges.' : asTable(HEADINGS, rows.map(cellsOf))
}

function cellsOf(row: ExchangeRow): string[] {
  const { promptTokens, completionTokens, errorCode, outcome } = row
  const tokens = promptTokens === null ? '-' : `${promptTokens}+${completionTokens ?? 0}`
  return [
    timeCell(row.startedAt),
    row.callerName ?? '-',
    row.version ?? row.requestedModel ?? '-',
    errorCode === null ? outcome : `${outcome}: ${errorCode}`,
    String(row.status),
    tokens,
    row.totalMs.toFixed(0),
    row.costUsd === null ? '-' : row.costUsd.toFixed(6),
    row.id,
  ]
}

function oneLine(text: string): string {
  return text.replace(/\s+/g, ' ').slice(0, 160)
}
