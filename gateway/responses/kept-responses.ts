// Responses that are kept: written when they are whole, found again by whoever they belong to, continued.
//
// Keeping never fails a request: where the table can't be written in time, the answer is given all the same and says
// that it isn't kept. Reading does: who asks to continue what can't be found is told so, and never gets an answer that
// has forgotten half of the conversation.
//
// Knows: items by their place, what a chain may weigh. Does not know: SQL, HTTP.

import { setTimeout as sleep } from 'node:timers/promises'

import { isRefusal } from '../db/refusal.ts'
import {
  deleteResponse,
  findResponse,
  findResponseItems,
  insertResponse,
  readChain,
} from '../db/responses.ts'
import { keyOf, placeOf, responseId } from '../dialects/openai-responses/item.ts'
import { GatewayError } from '../errors.ts'
import type { Queryable } from '../db/pool.ts'
import type { Caller } from '../callers/caller.ts'
import type { ResponseHead } from '../dialects/openai-responses/answer.ts'
import type { ItemReference } from '../dialects/openai-responses/input.ts'
import type { Item, OutputItem } from '../dialects/openai-responses/item.ts'
import type { Logger } from '../logger.ts'

export interface KeptResponsesOptions {
  db: Queryable
  /** how long a response is kept after it was made, or continued; 0 keeps no more of them */
  ttlMs: number
  logger: Logger
  /** milliseconds since 1970 */
  now?: () => number
  /** a table that has not taken a response by then is as good as away */
  keepTimeoutMs?: number
}

export interface ResponseToKeep {
  /** 32 hexadecimal digits */
  key: string
  owner: string
  head: ResponseHead
  input: Item[]
  output: OutputItem[]
  /** keys of what it continues, newest first */
  continues: string[]
}

/** Earlier items of a conversation, oldest first. */
export interface Continued {
  items: Item[]
  /** keys of the responses that they are from, newest first */
  keys: string[]
}

/** The client waits for it at the end of its answer: longer than a healthy database ever takes, and not long. */
const KEEP_TIMEOUT_MS = 2_000
/** how long a table that was away is left alone: answers that end meanwhile are not held up by it too */
const AWAY_MS = 1_000
/** between two lines about responses that are not kept */
const COMPLAINT_MS = 30_000
/** Turns of a conversation that is continued by its id. An agent's longest days stay below. */
const MAX_LINKS = 1_000
/** As much as the largest request may say by default: it is read into memory as a whole. */
const MAX_BYTES = 8 * 1024 * 1024
/** responses that one request's references may be spread over */
const MAX_REFERENCED = 256

/** A project's callers share what they keep; a key without a project has its own. */
export function ownerOf({ project, id, name, role }: Caller): string {
  if (project) return `project:${project.id}`
  if (id !== null) return `key:${id}`
  return role === 'admin' ? 'admin' : `name:${name}`
}

export class KeptResponses {
  readonly #options: Required<KeptResponsesOptions>
  #awayUntilMs = -Infinity
  #complainedMs = -Infinity
  #notKept = 0

  constructor(options: KeptResponsesOptions) {
    this.#options = { now: Date.now, keepTimeoutMs: KEEP_TIMEOUT_MS, ...options }
  }

  get isKeeping(): boolean {
    return this.#options.ttlMs > 0
  }

  /** @returns whether it can be found again */
  async keep({ key, owner, head, input, output, continues }: ResponseToKeep): Promise<boolean> {
    const { db, ttlMs, now, keepTimeoutMs } = this.#options
    const nowMs = now()
    if (nowMs < this.#awayUntilMs) return this.#lose(head.id, new Error('PostgreSQL is away.'))
    const expiresAt = new Date(nowMs + ttlMs)
    const response = {
      id: key,
      owner,
      previousId: continues[0] ?? null,
      head: JSON.stringify(head),
      input: JSON.stringify(input),
      output: JSON.stringify(output),
      createdAt: new Date(nowMs),
      expiresAt,
    }
    // What a conversation stands on lives as long as the conversation. Rows are renewed only in the second half of
    // their time, so that a turn does not rewrite all that came before it.
    const renewal = { ids: continues, before: new Date(nowMs + ttlMs / 2) }
    const late = new AbortController()
    try {
      return await Promise.race([
        insertResponse(db, response, renewal).then(() => true),
        sleep(keepTimeoutMs, undefined, { signal: late.signal }).then(() => {
          throw new Error(`PostgreSQL did not take it within ${keepTimeoutMs} ms.`)
        }),
      ])
    } catch (error) {
      if (!isRefusal(error)) this.#awayUntilMs = now() + AWAY_MS
      return this.#lose(head.id, error)
    } finally {
      late.abort()
    }
  }

  /** @returns the response's JSON text, and the items that it was asked with */
  async find(id: string, caller: Caller): Promise<{ body: string; input: Item[] }> {
    const key = keyOf(id)
    const found =
      key && (await this.#read((db, now) => findResponse(db, key, ownerOf(caller), now)))
    if (!found) throw notFound(id)
    const { head, input, output } = found
    return {
      body: `${head.slice(0, -1)},"output":${output}}`,
      input: JSON.parse(input) as Item[],
    }
  }

  async delete(id: string, caller: Caller): Promise<void> {
    const key = keyOf(id)
    const wasThere =
      key && (await this.#read((db, now) => deleteResponse(db, key, ownerOf(caller), now)))
    if (!wasThere) throw notFound(id)
  }

  /** The conversation up to a response, with its answer. */
  async continue(id: string, caller: Caller): Promise<Continued> {
    const key = keyOf(id)
    const bounds = { maxLinks: MAX_LINKS, maxBytes: MAX_BYTES }
    const links = key
      ? await this.#read((db, now) => readChain(db, key, ownerOf(caller), now, bounds))
      : []
    const oldest = links.at(-1)
    if (!oldest) throw previousNotFound(`Previous response with id '${id}' not found.`)
    if (oldest.input === null) {
      throw new GatewayError(
        'conversation_too_long',
        `The conversation that '${id}' ends is longer than ${MAX_LINKS} responses or ${MAX_BYTES} bytes: begin a new one, with what is needed of it as input.`,
        { param: 'previous_response_id' },
      )
    }
    if (oldest.previousId !== null) {
      const missing = responseId(oldest.previousId.replaceAll('-', ''))
      throw previousNotFound(
        `Previous response with id '${id}' can't be continued: '${missing}', which its conversation stands on, was deleted.`,
      )
    }
    const items = links
      .toReversed()
      .flatMap(({ input, output }) => [...parse(input), ...parse(output)])
    return { items, keys: links.map((link) => link.id) }
  }

  /** Puts what references name into their places. */
  async resolve(input: (Item | ItemReference)[], caller: Caller): Promise<Item[]> {
    const references = input.filter((item) => item.type === 'item_reference')
    if (references.length === 0) return input as Item[]
    const keys = new Set(references.flatMap(({ id }) => placeOf(id)?.key ?? []))
    if (keys.size > MAX_REFERENCED) {
      throw new GatewayError(
        'invalid_value',
        `'input' refers to items of ${keys.size} responses; at most ${MAX_REFERENCED} are allowed.`,
        { param: 'input' },
      )
    }
    const question = (db: Queryable, now: Date) =>
      findResponseItems(db, [...keys], ownerOf(caller), now)
    const rows = keys.size === 0 ? [] : await this.#read(question)
    const found = new Map<string, Item>()
    for (const { input: asked, output } of rows) {
      for (const item of [...parse(asked), ...parse(output)]) found.set(item.id, item)
    }
    return input.map((item) => {
      if (item.type !== 'item_reference') return item
      const kept = found.get(item.id)
      if (kept) return kept
      throw new GatewayError('item_not_found', `Item with id '${item.id}' not found.`, {
        param: item.path,
      })
    })
  }

  #lose(id: string, error: unknown): false {
    this.#notKept++
    const now = performance.now()
    if (now - this.#complainedMs < COMPLAINT_MS) return false
    this.#complainedMs = now
    const context = { err: error, response: id, notKept: this.#notKept }
    this.#options.logger.warn(context, 'a response could not be kept')
    return false
  }

  async #read<T>(question: (db: Queryable, now: Date) => Promise<T>): Promise<T> {
    try {
      return await question(this.#options.db, new Date(this.#options.now()))
    } catch (cause) {
      throw new GatewayError(
        'response_store_unavailable',
        "Kept responses can't be read at the moment. Try again shortly, or send the conversation as input.",
        { cause },
      )
    }
  }
}

const parse = (items: string | null) => JSON.parse(items ?? '[]') as Item[]

function notFound(id: string) {
  return new GatewayError('response_not_found', `Response with id '${id}' not found.`)
}

function previousNotFound(message: string) {
  return new GatewayError('previous_response_not_found', message, { param: 'previous_response_id' })
}
