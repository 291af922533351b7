// Arguments that several commands take, read: names, times, limits, tags.

import { InvalidArgumentError, Option } from 'commander'
import type { Command } from 'commander'

import { BODY_POLICIES } from '../gateway/callers/body-policy.ts'
import { isUuid } from '../gateway/db/uuid.ts'
import { LIMITS } from '../gateway/callers/limits.ts'
import { NAME_PATTERN, NAME_RULE } from '../gateway/dialects/admin/fields.ts'
import type { BodyPolicy } from '../gateway/callers/body-policy.ts'
import type { Limits } from '../gateway/callers/caller.ts'
import type { LimitsPatch, TagsPatch } from '../gateway/dialects/admin/fields.ts'
import type { Page } from '../gateway/db/page.ts'

/** What `none`, `never` and `all` are read as: commander would make an empty text of null. */
export const NOTHING = Symbol('nothing')
export type OrNothing<T> = T | typeof NOTHING

export function orNull<T>(value: OrNothing<T> | undefined): T | null | undefined {
  return value === NOTHING ? null : value
}

export function readName(name: string): string {
  if (new RegExp(NAME_PATTERN, 'u').test(name)) return name
  throw new InvalidArgumentError(`Allowed are ${NAME_RULE}.`)
}

const UNIT_SECONDS: Record<string, number> = { s: 1, m: 60, h: 3_600, d: 86_400 }

/** `90s`, `15m`, `12h`, `30d` */
export function readDuration(text: string): number {
  const [, amount, unit = ''] = /^(\d{1,9})([smhd])$/.exec(text) ?? []
  const seconds = Number(amount) * (UNIT_SECONDS[unit] ?? Number.NaN)
  if (Number.isFinite(seconds)) return seconds
  throw new InvalidArgumentError('Allowed is a whole number with its unit: 90s, 15m, 12h, 30d.')
}

/** In ISO 8601; nothing for `never`. */
export function readExpiry(text: string): OrNothing<string> {
  if (text === 'never') return NOTHING
  if (/^\d+[smhd]$/.test(text)) {
    return new Date(Date.now() + readDuration(text) * 1000).toISOString()
  }
  const isTime = /^\d{4}-\d\d-\d\d(T\S+(Z|[+-]\d\d:\d\d))?$/.test(text)
  const time = new Date(isTime ? text : Number.NaN)
  if (!Number.isNaN(time.getTime())) return time.toISOString()
  throw new InvalidArgumentError(
    'Allowed are a time such as 2027-01-31 or 2027-01-31T12:00:00Z, a while from now such as 30d, and never.',
  )
}

/** A point in time. */
export function readTime(text: string): Date {
  if (/^\d{4}-/.test(text)) {
    const time = readExpiry(text)
    if (time !== NOTHING) return new Date(time)
  }
  throw new InvalidArgumentError('Allowed is a time such as 2027-01-31 or 2027-01-31T12:00:00Z.')
}

/** nothing for `none` */
export function readSeconds(text: string): OrNothing<number> {
  if (text === 'none') return NOTHING
  const value = /^\d{1,8}$/.test(text) ? Number(text) : Infinity
  if (value <= 31_536_000) return value
  throw new InvalidArgumentError('Allowed is a whole number up to 31536000, or none.')
}

/** nothing for `none` */
export function readDays(text: string): OrNothing<number> {
  if (text === 'none') return NOTHING
  const value = /^\d{1,5}$/.test(text) ? Number(text) : 0
  if (value >= 1 && value <= 36_500) return value
  throw new InvalidArgumentError('Allowed is a whole number from 1 to 36500, or none.')
}

function readPageSize(text: string): number {
  const value = /^\d{1,4}$/.test(text) ? Number(text) : 0
  if (value >= 1 && value <= 1000) return value
  throw new InvalidArgumentError('Allowed is a whole number from 1 to 1000.')
}

/** Names of models; nothing for `all`. */
export function readModels(text: string): OrNothing<string[]> {
  if (text === 'all') return NOTHING
  return text
    .split(',')
    .map((name) => name.trim())
    .filter((name) => name !== '')
}

/** Added to those before it; `name=` takes one away. */
export function readTag(text: string, before: TagsPatch = {}): TagsPatch {
  const [, name, value] = /^([^=]+)=(.*)$/.exec(text) ?? []
  if (name === undefined) throw new InvalidArgumentError('Allowed is name=value.')
  return { ...before, [name]: value || null }
}

/** `--bodies redacted`, or `default` */
export function bodiesOption(): Option {
  const option = new Option(
    '--bodies <policy>',
    `what is kept of texts: ${BODY_POLICIES.join(', ')}; default: as its project or the server says`,
  )
  return option.argParser((text): OrNothing<BodyPolicy> => {
    const policy = BODY_POLICIES.find((known) => known === text)
    if (policy) return policy
    if (text === 'default') return NOTHING
    throw new InvalidArgumentError(`Allowed are ${BODY_POLICIES.join(', ')} and default.`)
  })
}

export type LimitFlags = { [Key in keyof Limits]?: OrNothing<number> }

/** One option for each limit: `--requests-per-minute 60`, or `none`. */
export function addLimitOptions(command: Command): Command {
  for (const { name, isWhole, about } of LIMITS) {
    const option = new Option(`--${name.replaceAll('_', '-')} <most>`, `${about}; none: no limit`)
    command.addOption(option.argParser((text) => readLimit(text, isWhole)))
  }
  return command
}

function readLimit(text: string, isWhole: boolean): OrNothing<number> {
  if (text === 'none') return NOTHING
  const pattern = isWhole ? /^\d{1,15}$/ : /^\d{1,12}(\.\d{1,6})?$/
  if (pattern.test(text)) return Number(text)
  throw new InvalidArgumentError(
    `Allowed is ${isWhole ? 'a whole number' : 'an amount such as 12.50'}, or none.`,
  )
}

/** undefined where none was given: nothing is to change then */
export function limitsOf(flags: LimitFlags): LimitsPatch | undefined {
  const given = LIMITS.filter(({ key }) => flags[key] !== undefined)
  if (given.length === 0) return undefined
  return Object.fromEntries(given.map(({ name, key }) => [name, orNull(flags[key])]))
}

export interface PageFlags {
  limit: number
  after?: string
  json?: boolean
}

export function addPageOptions(command: Command): Command {
  return command
    .addOption(new Option('--limit <rows>', 'rows at most').argParser(readPageSize).default(100))
    .addOption(
      new Option('--after <id>', 'go on after this row').argParser((text: string) => {
        if (isUuid(text)) return text
        throw new InvalidArgumentError('Allowed is the id of a row that was listed.')
      }),
    )
    .option('--json', 'as JSON')
}

export function pageOf({ limit, after }: PageFlags): Page {
  return { limit, after: after ?? null }
}

/** What a listing ends with where there is more. */
export function moreRows(hasMore: boolean, lastId: string | undefined): string {
  return hasMore && lastId !== undefined ? `\nThere are more: --after ${lastId}` : ''
}

/** @throws InvalidArgumentError where a change names nothing that is to change */
export function refuseNothing(flags: object): void {
  const given = Object.entries(flags).filter(([, value]) => value !== undefined)
  if (given.some(([name]) => name !== 'json')) return
  throw new InvalidArgumentError('Nothing is to change. --help lists what can be.')
}
