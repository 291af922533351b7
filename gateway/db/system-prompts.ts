// Table `system_prompts`: a text that thousands of requests begin with is kept once, and named by its digest.
//
// Where a text was taken out, null stands in its place: the content of the first message, `system` (Anthropic's
// Messages) or `instructions` (Responses) among the parameters.

import { createHash } from 'node:crypto'

import { LRUCache } from 'lru-cache'

import type { Queryable } from './pool.ts'
import type { ExchangeRecord } from '../exchange/exchange-record.ts'

/** A digest and a row cost as much as a shorter text. */
const MIN_CHARACTERS = 200
const MAX_KNOWN_CHARACTERS = 8 * 1024 * 1024
const DAY_MS = 24 * 60 * 60_000
const PARAMETERS = ['system', 'instructions']

interface Separated extends Pick<ExchangeRecord, 'prompt' | 'parameters'> {
  /** null: there is none that is worth it */
  text: string | null
}

/** Takes the system prompt out of what was asked; the record stays as it is. */
export function separateSystemPrompt({ prompt, parameters }: ExchangeRecord): Separated {
  const first: unknown = Array.isArray(prompt) ? prompt[0] : null
  if (isSystemMessage(first) && first.content.length >= MIN_CHARACTERS) {
    const rest = [...(prompt as unknown[])]
    rest[0] = { ...first, content: null }
    return { prompt: rest, parameters, text: first.content }
  }
  for (const name of PARAMETERS) {
    const text = parameters?.[name]
    if (typeof text !== 'string' || text.length < MIN_CHARACTERS) continue
    return { prompt, parameters: { ...parameters, [name]: null }, text }
  }
  return { prompt, parameters, text: null }
}

function isSystemMessage(message: unknown): message is { role: string; content: string } {
  if (typeof message !== 'object' || message === null) return false
  const { role, content } = message as Record<string, unknown>
  return (role === 'system' || role === 'developer') && typeof content === 'string'
}

/** Puts the text back where it was taken from. */
export function joinSystemPrompt(
  { prompt, parameters }: Pick<ExchangeRecord, 'prompt' | 'parameters'>,
  text: string,
): Pick<ExchangeRecord, 'prompt' | 'parameters'> {
  const first: unknown = Array.isArray(prompt) ? prompt[0] : null
  if (typeof first === 'object' && first !== null && 'content' in first && first.content === null) {
    return { prompt: [{ ...first, content: text }, ...(prompt as unknown[]).slice(1)], parameters }
  }
  const name = PARAMETERS.find((name) => parameters?.[name] === null)
  return name ? { prompt, parameters: { ...parameters, [name]: text } } : { prompt, parameters }
}

/** Which texts were told already, so that they are not told with every exchange. */
export class SystemPrompts {
  readonly #now: () => number
  readonly #known = new LRUCache<string, { digest: string; day: number }>({
    maxSize: MAX_KNOWN_CHARACTERS,
    sizeCalculation: (_known, text) => text.length,
  })

  /** @param now milliseconds since 1970 */
  constructor(now: () => number) {
    this.#now = now
  }

  /** Once a day each text is new again, so that the table knows what is in use. */
  tell(text: string): { digest: string; isNew: boolean } {
    const day = Math.floor(this.#now() / DAY_MS)
    const known = this.#known.get(text)
    if (known?.day === day) return { digest: known.digest, isNew: false }
    const digest = known?.digest ?? createHash('sha256').update(text).digest('hex')
    this.#known.set(text, { digest, day })
    return { digest, isNew: true }
  }

  /** What was told may not have arrived. */
  forget(): void {
    this.#known.clear()
  }
}

/** @param texts by digest, in hex */
export async function upsertSystemPrompts(
  db: Queryable,
  texts: ReadonlyMap<string, string>,
): Promise<void> {
  // In one order, so that two gateways never wait for each other.
  const digests = [...texts.keys()].sort()
  await db.query(UPSERT, [
    digests.map((digest) => Buffer.from(digest, 'hex')),
    digests.map((digest) => texts.get(digest)?.replaceAll('\0', '\ufffd').toWellFormed()),
  ])
}

const UPSERT = `
  INSERT INTO system_prompts (digest, text, used_on)
  SELECT digest, text, (now() AT TIME ZONE 'UTC')::date
  FROM unnest($1::bytea[], $2::text[]) AS told (digest, text)
  ON CONFLICT (digest) DO UPDATE SET used_on = excluded.used_on
    WHERE system_prompts.used_on < excluded.used_on`
