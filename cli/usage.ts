// `headrace usage`: who used what, how fast, and what it cost.

import { Command, InvalidArgumentError, Option } from 'commander'

import { askUsage, readSpan, wholeHours } from '../gateway/administration/analytics.ts'
import { getProject } from '../gateway/administration/projects.ts'
import { PERIODS, SORTS } from '../gateway/db/analytics.ts'
import { readGroup, usageRowBody } from '../gateway/dialects/admin/analytics.ts'
import { readTime } from './arguments.ts'
import { withDatabase } from './database.ts'
import { asTable, json } from './table.ts'
import type { Dimension, Period, UsageRow } from '../gateway/db/analytics.ts'
import type { DatabaseCommandDeps } from './database.ts'

interface UsageFlags {
  by: Dimension[]
  period?: Period
  from?: Date
  to?: Date
  project?: string
  caller?: string
  model?: string
  tag?: string
  sort: keyof typeof SORTS
  limit: number
  json?: boolean
}

export function usageCommand(deps: DatabaseCommandDeps): Command {
  const run = withDatabase(deps)
  return new Command('usage')
    .description('say who used what and what it cost, by whole hours; the last day without --from')
    .addOption(
      new Option('--by <things>', 'rows for each: project, caller, model, version, upstream, tag')
        .argParser(readBy)
        .default(['caller', 'model'] satisfies Dimension[], 'caller,model'),
    )
    .addOption(new Option('--period <length>', 'rows for each, in UTC').choices(PERIODS))
    .addOption(new Option('--from <time>', 'from this time on').argParser(readTime))
    .addOption(new Option('--to <time>', 'before this time').argParser(readTime))
    .option('--project <project>', 'only of this one: its id or name')
    .option('--caller <caller>', 'only of this one: its id, or the name of its key')
    .option('--model <model>', 'only of this one')
    .option('--tag <tag>', 'only what has it')
    .addOption(
      new Option('--sort <figure>', 'the largest first')
        .choices(Object.keys(SORTS))
        .default('cost'),
    )
    .addOption(new Option('--limit <rows>', 'rows at most').argParser(readLimit).default(100))
    .option('--json', 'as JSON')
    .addHelpText(
      'after',
      '\nExample:\n  headrace usage --by project,model --period month --from 2027-01-01',
    )
    .action((flags: UsageFlags) =>
      run(async (pool) => {
        const { by: group, period = null, sort, limit, project, caller, model, tag } = flags
        const id = project === undefined ? undefined : (await getProject(pool, project)).id
        const { rows, hasMore } = await askUsage(pool, {
          ...wholeHours(readSpan(flags.from, flags.to, Date.now())),
          period,
          group,
          filter: {
            ...(id !== undefined && { project: id }),
            ...(caller !== undefined && { caller }),
            ...(model !== undefined && { model }),
            ...(tag !== undefined && { tag }),
          },
          sort,
          limit,
        })
        if (flags.json) return json(rows.map((row) => usageRowBody(row, group)))
        return table(rows, group, period) + (hasMore ? '\nThere are more: --limit' : '')
      }),
    )
}

function readBy(text: string): Dimension[] {
  try {
    return readGroup(text)
  } catch (error) {
    throw new InvalidArgumentError(error instanceof Error ? error.message : String(error))
  }
}

function readLimit(text: string): number {
  const value = /^\d{1,4}$/.test(text) ? Number(text) : 0
  if (value >= 1 && value <= 1000) return value
  throw new InvalidArgumentError('Allowed is a whole number from 1 to 1000.')
}

const PERIOD_CHARACTERS = { hour: 13, day: 10, month: 7 }
const CENT_DIGITS = 4
const FIGURES = ['REQUESTS', 'FAILED', 'PROMPT TOKENS', 'ANSWER TOKENS', 'P50 MS', 'P95 MS', 'USD']

function table(rows: UsageRow[], group: Dimension[], period: Period | null): string {
  if (rows.length === 0) return 'Nothing was used in that time.'
  const headings = [
    ...(period === null ? [] : [period.toUpperCase()]),
    ...group.map((name) => name.toUpperCase()),
    ...FIGURES,
  ]
  const cells = rows.map((row) => {
    const names = {
      ...row,
      caller: row.callerName ?? row.caller,
      project: row.projectName ?? row.project,
    }
    return [
      ...(period === null
        ? []
        : [row.start?.toISOString().slice(0, PERIOD_CHARACTERS[period]) ?? '-']),
      ...group.map((name) => names[name] ?? '-'),
      String(row.requests),
      String(row.failed),
      String(row.promptTokens),
      String(row.completionTokens),
      row.totalMs ? row.totalMs[0].toFixed(0) : '-',
      row.totalMs ? row.totalMs[2].toFixed(0) : '-',
      row.costUsd.toFixed(CENT_DIGITS),
    ]
  })
  return asTable(headings, cells)
}
