// `headrace feedback …`: what was said of answers, listed and added to.
//
// It lives in the database (database.ts); what is added says who sat at the command line.

import { readFile } from 'node:fs/promises'

import { Command, InvalidArgumentError, Option } from 'commander'

import { ADMIN } from '../gateway/callers/caller.ts'
import { findConfigFile } from '../gateway/declared/config-file.ts'
import { readPatterns } from '../gateway/declared/read.ts'
import { namesOf } from '../gateway/administration/end-users.ts'
import { confirmFeedback, listFeedback } from '../gateway/db/feedback.ts'
import {
  feedbackBody,
  MAX_COMMENT_CHARACTERS,
  MAX_CORRECTION_CHARACTERS,
  MAX_END_USER_CHARACTERS,
  readOpinion,
  storable,
} from '../gateway/dialects/admin/feedback.ts'
import { readPseudonymKey } from '../gateway/db/pseudonym-key.ts'
import { Privacy } from '../gateway/privacy/privacy.ts'
import { FeedbackDesk } from '../gateway/feedback/desk.ts'
import { readExchangeId } from '../gateway/feedback/exchange-id.ts'
import { addPageOptions, moreRows, pageOf, readTime } from './arguments.ts'
import { withDatabase } from './database.ts'
import { asTable, json, timeCell } from './table.ts'
import type { Feedback, FeedbackFilter, Thumb } from '../gateway/db/feedback.ts'
import type { Pool } from '../gateway/db/pool.ts'
import type { PageFlags } from './arguments.ts'
import type { DatabaseCommandDeps } from './database.ts'

/** Named as the filter's fields are, but for the exchange, which has ids of several kinds. */
interface ListFlags extends PageFlags, Omit<FeedbackFilter, 'exchangeId' | 'endUsers'> {
  exchange?: string
  endUser?: string
}

interface AddFlags {
  thumb?: Thumb
  score?: number
  comment?: string
  correction?: string
  endUser?: string
  json?: boolean
}

/** what waits for its exchange, at most, in one look at the list */
const CONFIRM_LIMIT = 500
const MAX_COMMENT_SHOWN = 60

export interface FeedbackCommandDeps extends DatabaseCommandDeps {
  /** what `${NAME}` in headrace.yaml stands for */
  env: Record<string, string | undefined>
}

export function feedbackCommand(deps: FeedbackCommandDeps): Command {
  const run = withDatabase(deps)
  const feedback = new Command('feedback').description('list what was said of answers, add to it')

  addPageOptions(
    feedback
      .command('list')
      .description('list feedback, newest first')
      .option('--exchange <id>', "only of this exchange: its x-request-id, or its answer's id")
      .addOption(new Option('--thumb <thumb>', 'only these').choices(['up', 'down']))
      .addOption(new Option('--min-score <score>', 'at least that').argParser(readScore))
      .addOption(new Option('--max-score <score>', 'at most that').argParser(readScore))
      .option('--model <model>', 'only of this model')
      .option('--version <version>', 'only of this version: model@number')
      .option('--end-user <name>', 'only by this end user')
      .addOption(
        new Option('--given-by <whom>', 'only by these').choices(['end_user', 'caller', 'admin']),
      )
      .addOption(new Option('--since <time>', 'from this time on').argParser(readTime))
      .addOption(new Option('--until <time>', 'before this time').argParser(readTime)),
  )
    .addHelpText(
      'after',
      '\nExample:\n  headrace feedback list --thumb down --model support --json',
    )
    .action((flags: ListFlags) =>
      run(async (pool) => {
        const { exchange, endUser, ...filter } = flags
        const exchangeId = exchange === undefined ? undefined : readExchangeId(exchange, Date.now())
        await confirmFeedback(pool, null, CONFIRM_LIMIT)
        const { pseudonyms } = await privacyOf(pool, deps)
        const endUsers = endUser === undefined ? undefined : namesOf(endUser, pseudonyms)
        const asked = { ...filter, exchangeId, endUsers }
        const page = await listFeedback(pool, asked, pageOf(flags))
        if (flags.json) return json(page.rows.map(feedbackBody))
        return table(page.rows) + moreRows(page.hasMore, page.rows.at(-1)?.id)
      }),
    )

  feedback
    .command('add')
    .description('say what an answer was worth, or change what you said')
    .argument('<exchange>', "its x-request-id, or its answer's id")
    .addOption(new Option('--thumb <thumb>', 'up or down').choices(['up', 'down']))
    .addOption(new Option('--score <score>', 'from 1, the worst, to 5').argParser(readScore))
    .addOption(
      new Option('--comment <text>', 'in your own words').argParser(
        readText(MAX_COMMENT_CHARACTERS),
      ),
    )
    .addOption(
      new Option('--correction <text>', 'the answer that it should have been').argParser(
        readText(MAX_CORRECTION_CHARACTERS),
      ),
    )
    .addOption(
      new Option('--end-user <name>', 'as the word of this end user').argParser(
        readText(MAX_END_USER_CHARACTERS),
      ),
    )
    .option('--json', 'as JSON')
    .addHelpText(
      'after',
      '\nExample:\n  headrace feedback add chatcmpl-0199… --score 2 --correction "It opens at nine."',
    )
    .action((exchange: string, { json: asJson, endUser, ...opinion }: AddFlags) =>
      run(async (pool, { name }) => {
        const admin = { ...ADMIN, name }
        const said = readOpinion(opinion)
        const desk = await deskOf(pool, deps)
        const taken = await desk.give(admin, exchange, said, storable(endUser))
        if (asJson) return json(feedbackBody(taken.feedback))
        return `Feedback for ${taken.feedback.exchangeId} is kept.`
      }),
    )
  return feedback
}

/** Of a process without exchanges of its own, and with a database that is there. */
async function deskOf(pool: Pool, deps: FeedbackCommandDeps): Promise<FeedbackDesk> {
  return new FeedbackDesk({
    pool,
    recent: { find: () => null },
    spool: { append: () => false },
    privacy: await privacyOf(pool, deps),
    now: Date.now,
  })
}

async function privacyOf(pool: Pool, { loadSettings, env }: FeedbackCommandDeps): Promise<Privacy> {
  const { logBodies: byDefault, configFile, dataDir } = loadSettings()
  const privacy = new Privacy({ byDefault, pseudonymKey: await readPseudonymKey(pool) })
  const file = findConfigFile(configFile, ['.', dataDir])
  if (!privacy.isWhole(ADMIN.bodies) && file !== null) {
    privacy.usePatterns(readPatterns(await readFile(file, 'utf8'), file, env))
  }
  return privacy
}

function readScore(text: string): number {
  if (/^[1-5]$/.test(text)) return Number(text)
  throw new InvalidArgumentError('Allowed is a whole number from 1 to 5.')
}

const readText = (maxCharacters: number) => (text: string) => {
  if (text !== '' && text.length <= maxCharacters) return text
  throw new InvalidArgumentError(`Allowed is a text of at most ${maxCharacters} characters.`)
}

function table(feedback: Feedback[]): string {
  if (feedback.length === 0) return 'There is no such feedback.'
  const rows = feedback.map((each) => [
    timeCell(each.givenAt),
    each.thumb ?? '-',
    each.score?.toString() ?? '-',
    each.endUser || each.callerName || '-',
    each.version ?? '-',
    each.exchangeId,
    shorten(each.comment ?? each.correction ?? ''),
  ])
  return asTable(['WHEN', 'THUMB', 'SCORE', 'BY', 'VERSION', 'EXCHANGE', 'COMMENT'], rows)
}

function shorten(comment: string): string {
  const line = comment.replaceAll(/\s+/g, ' ')
  return line.length <= MAX_COMMENT_SHOWN ? line : `${line.slice(0, MAX_COMMENT_SHOWN)}…`
}
