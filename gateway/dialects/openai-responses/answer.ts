// Answers of the Responses API: events in their order, and the response that they add up to.
//
// One way leads to an answer, streamed or not: pieces go into the output, and each tells the events that it causes. An
// answer that isn't streamed is told the same way, and only the response at the end is sent.
//
// A response that is to be kept is kept before its end is told: who reads `response.completed` may continue it at once,
// on whichever server.
//
// Knows: the wire format. Does not know: where responses are kept, who answers.

import { Events } from './events.ts'
import { responseId, responseKey } from './item.ts'
import { Output } from './output.ts'
import { usageBody } from './usage.ts'
import type { OutputItem } from './item.ts'
import type { ResponseSettings } from './request.ts'
import type { AnswerUsage, FinishReason } from '../../backends/backend.ts'
import type { AnswerFormat, AnswerIdentity, Choice } from '../dialect.ts'
import type { GatewayError } from '../../errors.ts'
import type { TokenLogprob } from '../../../runtime/protocol.ts'

/** A response without what it answered, which is kept beside it. */
export type ResponseHead = Record<string, unknown> & { id: string; store: boolean }

export interface ResponseTerms {
  settings: ResponseSettings
  /** false where it could not be kept; null where it is not to be */
  keep: ((head: ResponseHead, output: OutputItem[]) => Promise<boolean>) | null
  /** milliseconds since 1970 */
  now: () => number
}

type Status = 'in_progress' | 'completed' | 'incomplete' | 'failed'

/** sequence numbers that opening() takes, whenever it is called */
const OPENING_EVENTS = 2

export function responseAnswer(terms: ResponseTerms) {
  return (identity: AnswerIdentity): AnswerFormat => new ResponseAnswer(terms, identity)
}

class ResponseAnswer implements AnswerFormat {
  readonly #terms: ResponseTerms
  readonly #identity: AnswerIdentity
  readonly #id: string
  readonly #events = new Events(OPENING_EVENTS)
  readonly #output: Output
  #finishReason: FinishReason = 'stop'

  constructor(terms: ResponseTerms, identity: AnswerIdentity) {
    const key = responseKey(identity.id)
    this.#terms = terms
    this.#identity = identity
    this.#id = responseId(key)
    const isSummaryWanted = terms.settings.reasoning.summary !== null
    this.#output = new Output(key, this.#events, isSummaryWanted)
  }

  readonly ping = null

  opening(): string {
    const events = new Events(0)
    const response = { ...this.#head('in_progress'), output: [] }
    return (
      events.tell('response.created', { response }) +
      events.tell('response.in_progress', { response })
    )
  }

  delta(_choice: number, text: string, logprobs: TokenLogprob[] | undefined): string {
    return this.#output.text(text, logprobs)
  }

  reasoning(_choice: number, text: string, signature: string | undefined): string {
    return this.#output.reasoning(text, signature)
  }

  refusal(_choice: number, text: string): string {
    return this.#output.refusal(text)
  }

  toolCall(_choice: number, index: number, id: string, name: string): string {
    return this.#output.call(index, id, name)
  }

  toolArguments(_choice: number, index: number, text: string): string {
    return this.#output.arguments(index, text)
  }

  finish(_choice: number, reason: FinishReason): string {
    this.#finishReason = reason
    return this.#output.end(statusOf(reason))
  }

  async ending(usage: AnswerUsage): Promise<string> {
    const response = await this.#settle(usage)
    return this.#events.tell(`response.${statusOf(this.#finishReason)}`, { response })
  }

  /**
   * The response failed, and the stream is at fault: clients look for one or the other, and none may take this for an
   * end. OpenAI's own stop reading at `error`, so that it comes last.
   */
  failure(error: GatewayError): string {
    const { code, message, param } = error
    const response = {
      ...this.#head('failed'),
      error: { code: failureCode(error), message },
      output: this.#output.items,
    }
    return (
      this.#events.tell('response.failed', { response }) +
      this.#events.tell('error', { code, message, param })
    )
  }

  async whole([choice]: Choice[], usage: AnswerUsage): Promise<string> {
    if (!choice) throw new Error('A response without a choice. This is a bug.')
    const { reasoning, text, logprobs, refusal, toolCalls, finishReason } = choice
    for (const thought of reasoning) this.reasoning(0, thought.text, thought.signature)
    this.delta(0, text, logprobs ?? undefined)
    if (refusal !== null) this.refusal(0, refusal)
    for (const [index, call] of toolCalls.filter(Boolean).entries()) {
      this.toolCall(0, index, call.id, call.name)
      this.toolArguments(0, index, call.arguments)
    }
    this.finish(0, finishReason)
    return JSON.stringify(await this.#settle(usage))
  }

  async #settle(usage: AnswerUsage) {
    const head: ResponseHead = {
      ...this.#head(statusOf(this.#finishReason)),
      usage: usageBody(usage),
    }
    const output = this.#output.items
    // What could not be kept can't be continued, and the client is told so.
    if (this.#terms.keep && !(await this.#terms.keep(head, output))) head.store = false
    return { ...head, output }
  }

  #head(status: Status): ResponseHead {
    const { settings, keep, now } = this.#terms
    const { created, model } = this.#identity
    return {
      id: this.#id,
      object: 'response',
      created_at: created,
      completed_at: status === 'completed' ? Math.floor(now() / 1000) : null,
      status,
      error: null,
      incomplete_details:
        status === 'incomplete' ? { reason: INCOMPLETE[this.#finishReason] } : null,
      model,
      background: false,
      ...settings,
      store: keep !== null,
    }
  }
}

const INCOMPLETE: Partial<Record<FinishReason, string>> = {
  length: 'max_output_tokens',
  content_filter: 'content_filter',
}

function statusOf(reason: FinishReason) {
  return INCOMPLETE[reason] === undefined ? 'completed' : 'incomplete'
}

/** The document has a closed list of codes here; the one that we know is in the `error` event. */
function failureCode({ kind }: GatewayError): string {
  if (kind.status === 429) return 'rate_limit_exceeded'
  return kind.type === 'invalid_request_error' ? 'invalid_prompt' : 'server_error'
}
