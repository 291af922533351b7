// `headrace export`: exchanges as files, for whoever takes them elsewhere.
//
// To a folder they go as scheduled exports do, a day after the other with a manifest each: started again, it goes on
// with the days that are not there yet. To the standard output they go as one file.
//
// Exit codes: 0 done, 1 it failed, 2 the command makes no sense.

import { Command, InvalidArgumentError, Option } from 'commander'

import { byAnyName } from '../gateway/administration/end-users.ts'
import { recordExportOfTexts } from '../gateway/export/audit.ts'
import { FORMATS } from '../gateway/export/format.ts'
import { readTime } from './arguments.ts'
import { withDatabase } from './database.ts'
import {
  addFilters,
  FILTER_HELP,
  filterOf,
  openAllPseudonyms,
  openPseudonyms,
} from './exchange-filter.ts'
import type { ExchangeFilter } from '../gateway/db/exchange-fields.ts'
import type { Pool } from '../gateway/db/pool.ts'
import type { ExportEnd, Format } from '../gateway/export/format.ts'
import type { DatabaseCommandDeps } from './database.ts'
import type { FilterFlags } from './exchange-filter.ts'
import type { Output } from './progress.ts'

export interface ExportCommandDeps extends DatabaseCommandDeps {
  stderr: Output
  /** to the standard output, no faster than it is read */
  writeBytes(chunks: AsyncIterable<Uint8Array>): Promise<void>
}

interface ExportFlags extends FilterFlags {
  format: Format
  from?: Date
  to?: Date
  output: string
  after?: string
  limit?: number
  bodies?: boolean
  keepFormulas?: boolean
  again?: boolean
}

export function exportCommand(deps: ExportCommandDeps): Command {
  const run = withDatabase(deps)
  return addFilters(new Command('export'))
    .description('write exchanges to a folder, a day after the other, or to the standard output')
    .addOption(new Option('--format <format>', 'of the files').choices(FORMATS).default('parquet'))
    .addOption(new Option('--from <time>', 'from this time on').argParser(readTime))
    .addOption(new Option('--to <time>', 'before this time').argParser(readTime))
    .requiredOption('--output <folder>', 'where to; - is the standard output')
    .option('--bodies', 'with prompts, answers, tool calls and parameters')
    .option('--again', 'to a folder: also days that are there already')
    .option('--after <id>', 'to the standard output: go on behind this exchange')
    .addOption(
      new Option('--limit <rows>', 'to the standard output: rows at most').argParser(readRows),
    )
    .option('--keep-formulas', 'CSV: texts that a spreadsheet takes for a formula as they are')
    .addHelpText(
      'after',
      '\nExample:\n  headrace export --from 2026-11-01 --to 2026-12-01 --output ./warehouse' +
        '\n  headrace export --format jsonl --bodies --where caller_name=support-chat --output - | gzip > support.jsonl.gz' +
        FILTER_HELP,
    )
    .action((flags: ExportFlags) =>
      run(async (pool, actor) => {
        const { format, from, to, after = null, limit = null } = flags
        if (flags.bodies) {
          const exported = { format, from, to, after, limit, filter: flags.where ?? {} }
          await recordExportOfTexts(pool, actor, exported, await openPseudonyms(pool))
        }
        const asked = byAnyName(filterOf(flags), await openAllPseudonyms(pool))
        const filter = { ...asked, from: from ?? asked.from, to: to ?? asked.to }
        return flags.output === '-'
          ? writeStream(pool, filter, flags, deps)
          : writeFolder(pool, filter, flags, deps.stderr)
      }),
    )
}

/** What was written goes to standard error: standard output is the file. */
async function writeStream(
  pool: Pool,
  filter: ExchangeFilter,
  flags: ExportFlags,
  deps: ExportCommandDeps,
): Promise<null> {
  const { format, after = null, limit = null } = flags
  const { exportExchanges } = await import('../gateway/export/export-stream.ts')
  const pieces = exportExchanges(pool, {
    format,
    filter,
    after,
    limit,
    withBodies: flags.bodies === true,
    keepFormulas: flags.keepFormulas,
  })
  let end: ExportEnd | null = null
  async function* bytes() {
    end = yield* pieces
  }
  await deps.writeBytes(bytes())
  deps.stderr.write(`${said(end)}\n`)
  return null
}

function said(end: ExportEnd | null): string {
  if (end === null || end.rows === 0) return 'There is nothing to export.'
  const more = end.hasMore ? ' There are more.' : ''
  return `${end.rows} exchanges; the last one is ${end.lastId}.${more}`
}

async function writeFolder(
  pool: Pool,
  filter: ExchangeFilter,
  flags: ExportFlags,
  stderr: Output,
): Promise<string> {
  const { format, output, again, keepFormulas, where: asked } = flags
  const { openFolder } = await import('../gateway/export/destination.ts')
  const { exportDays } = await import('../gateway/export/export-days.ts')
  const destination = await openFolder(output)
  const days = exportDays({
    db: pool,
    destination,
    format,
    withBodies: flags.bodies === true,
    keepFormulas,
    filter,
    asked,
    from: filter.from ?? undefined,
    to: filter.to ?? undefined,
    isAgain: again === true,
  })
  let rows = 0
  let written = 0
  let kept = 0
  for await (const { manifest, isKept } of days) {
    if (isKept) {
      kept++
      continue
    }
    written++
    rows += manifest.rows
    stderr.write(`${manifest.day}: ${manifest.rows} exchanges, files: ${manifest.files.length}\n`)
  }
  const more = kept > 0 ? `; days that were there already: ${kept}` : ''
  return `${rows} exchanges of ${written} days are in ${output}${more}.`
}

function readRows(text: string): number {
  if (/^[1-9]\d{0,8}$/.test(text)) return Number(text)
  throw new InvalidArgumentError('Allowed is a whole number from 1 to 999999999.')
}
