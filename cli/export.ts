// `headrace export`: exchanges as files, for whoever takes them elsewhere.
//
// To a folder they go as scheduled exports do, a day after the other with a manifest each: started again, it goes on
// with the days that are not there yet. To the standard output they go as one file.
//
// Exit codes: 0 done, 1 it failed, 2 the command makes no sense.

import { Command, InvalidArgumentError, Option } from 'commander'

import { recordExportOfTexts } from '../gateway/export/audit.ts'
import { FORMATS } from '../gateway/export/format.ts'
import { readTime } from './arguments.ts'
import { withDatabase } from './database.ts'
import type { Pool } from '../gateway/db/pool.ts'
import type { ExportEnd, Format } from '../gateway/export/format.ts'
import type { ExportFilter } from '../gateway/export/export-stream.ts'
import type { DatabaseCommandDeps } from './database.ts'
import type { Output } from './progress.ts'

export interface ExportCommandDeps extends DatabaseCommandDeps {
  stderr: Output
  /** to the standard output, no faster than it is read */
  writeBytes(chunks: AsyncIterable<Uint8Array>): Promise<void>
}

interface ExportFlags {
  format: Format
  from?: Date
  to?: Date
  output: string
  after?: string
  limit?: number
  bodies?: boolean
  keepFormulas?: boolean
  again?: boolean
  model?: string
  modelVersion?: string
  caller?: string
  project?: string
  endUser?: string
  session?: string
  conversation?: string
  tag?: string
  outcome?: string
}

export function exportCommand(deps: ExportCommandDeps): Command {
  const run = withDatabase(deps)
  return new Command('export')
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
    .option('--model <model>', 'only that it answered')
    .option('--model-version <version>', 'only that it answered: name@number')
    .option('--caller <caller>', 'only of this one: id or name')
    .option('--project <project>', 'only of this one: id or name')
    .option('--end-user <user>', 'only for this one')
    .option('--session <session>', 'only of this one')
    .option('--conversation <id>', 'only of this one')
    .option('--tag <tag>', 'only with this one')
    .addOption(
      new Option('--outcome <outcome>', 'only that ended so').choices([
        'completed',
        'cancelled',
        'failed',
        'refused',
      ]),
    )
    .addHelpText(
      'after',
      '\nExample:\n  headrace export --from 2026-11-01 --to 2026-12-01 --output ./warehouse' +
        '\n  headrace export --format jsonl --bodies --caller support-chat --output - | gzip > support.jsonl.gz',
    )
    .action((flags: ExportFlags) =>
      run(async (pool, actor) => {
        const { format, from, to, after = null, limit = null } = flags
        const filter = filterOf(flags)
        if (flags.bodies) {
          const exported = { format, from, to, after, limit, filter }
          await recordExportOfTexts(pool, actor, exported)
        }
        return flags.output === '-'
          ? writeStream(pool, flags, deps)
          : writeFolder(pool, flags, deps.stderr)
      }),
    )
}

function filterOf(flags: ExportFlags): ExportFilter {
  const { model, modelVersion: version, caller, project, endUser, session } = flags
  const { conversation, tag, outcome } = flags
  const tags = tag === undefined ? undefined : [tag]
  return { model, version, caller, project, endUser, session, conversation, tags, outcome }
}

/** What was written goes to standard error: standard output is the file. */
async function writeStream(pool: Pool, flags: ExportFlags, deps: ExportCommandDeps): Promise<null> {
  const { format, from, to, after = null, limit = null } = flags
  const { exportExchanges } = await import('../gateway/export/export-stream.ts')
  const pieces = exportExchanges(pool, {
    format,
    filter: { ...filterOf(flags), from, to },
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

async function writeFolder(pool: Pool, flags: ExportFlags, stderr: Output): Promise<string> {
  const { format, from, to, output, again, keepFormulas } = flags
  const { openFolder } = await import('../gateway/export/destination.ts')
  const { exportDays } = await import('../gateway/export/export-days.ts')
  const destination = await openFolder(output)
  const days = exportDays({
    db: pool,
    destination,
    format,
    withBodies: flags.bodies === true,
    keepFormulas,
    filter: filterOf(flags),
    from,
    to,
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
