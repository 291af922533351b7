// Anthropic's Messages API as a backend.
//
// Until the first event everything that goes wrong is a refusal, after it a cut; neither ever looks like an answer.
//
// Knows: the API's addresses, version and way of failing. Does not know: bodies and events, which are in anthropic/;
// routing, callers, Fastify.

import { isEventStream } from './content-kind.ts'
import { asThrown, readRetryAfter } from './fault.ts'
import { MessageReader } from './anthropic/answer.ts'
import { readError } from './anthropic/errors.ts'
import { writeCountBody, writeMessagesBody } from './anthropic/request.ts'
import { UpstreamHttp } from './http.ts'
import { refusedBy } from './refused.ts'
import { countOf, fieldsOf, objectOf, parseJson } from './wire-fields.ts'
import type { AnswerEvent, Asking, Backend, Chat, Question } from '../backend.ts'
import type { UpstreamResponse } from './http-response.ts'
import type { GatewayError } from '../../errors.ts'

const BASE_URL = 'https://api.anthropic.com/v1'
/** the only version there has been since 2023; new features come without a new one */
const VERSION = { 'anthropic-version': '2023-06-01' }
const BETA = 'anthropic-beta'

/**
 * What every model takes that is still served. The API knows no "as much as there is room for", and a bound that is too
 * high is refused.
 */
const DEFAULT_MAX_TOKENS = 8192

export interface AnthropicUpstreamOptions {
  /** default: https://api.anthropic.com/v1 */
  baseUrl?: string
  /** null: a server of that dialect that asks for none */
  apiKey: string | null
  /** further headers, with every request: `anthropic-beta` */
  headers?: Record<string, string>
  /** most tokens of an answer whose client gives no bound */
  defaultMaxTokens?: number
  connectMs?: number
  /** without a single byte of an answer */
  silenceMs?: number
  connections?: number
}

export class AnthropicUpstream implements Backend {
  readonly #http: UpstreamHttp
  readonly #defaultMaxTokens: number
  /** of every request, beside those that a client asks for */
  readonly #betas: string[]

  /** @throws Error where the address is none */
  constructor(options: AnthropicUpstreamOptions) {
    const { baseUrl = BASE_URL, apiKey, headers, defaultMaxTokens, ...rest } = options
    const key: Record<string, string> = apiKey === null ? {} : { 'x-api-key': apiKey }
    const [betas, others] = splitBetas(headers ?? {})
    this.#betas = betas
    this.#http = new UpstreamHttp({ ...rest, baseUrl, headers: { ...key, ...others } })
    this.#defaultMaxTokens = defaultMaxTokens ?? DEFAULT_MAX_TOKENS
  }

  async *answer(question: Question, { version, ...asking }: Asking): AsyncGenerator<AnswerEvent> {
    const body = writeMessagesBody(question, version, this.#defaultMaxTokens)
    let response: UpstreamResponse | null = null
    try {
      const headers = { ...this.#headersFor(question), ...asking.headers }
      response = await this.#http.post('/messages', body, { signal: asking.signal, headers })
      if (response.status !== 200) throw await this.#refusal(response, question.promptParam)
      const reader = new MessageReader(question)
      if (await isEventStream(response, question.isStreamed)) {
        yield* this.#readStream(response, reader, question.promptParam)
      } else {
        const message = fieldsOf(await response.json())
        if (message['type'] === 'error') {
          throw this.#refused(JSON.stringify(message), 500, null, question.promptParam)
        }
        const events = reader.readWhole(message)
        // Of half an answer nothing is told: until its first event another may answer.
        if (reader.isWhole) yield* events
      }
      if (!reader.isWhole) throw response.cut('ended its answer without its last event')
      response.release()
    } catch (error) {
      throw asThrown(error, asking.signal)
    } finally {
      response?.close()
    }
  }

  async countTokens(chat: Chat, { version, signal }: Asking): Promise<number> {
    const body = writeCountBody(chat, version)
    let response: UpstreamResponse | null = null
    try {
      const path = '/messages/count_tokens'
      response = await this.#http.post(path, body, { signal, headers: this.#headersFor(chat) })
      if (response.status !== 200) throw await this.#refusal(response, chat.promptParam)
      const counted = await response.json()
      const tokens = countOf(fieldsOf(counted)['input_tokens'])
      if (tokens === undefined)
        throw response.malformed('counted no tokens', JSON.stringify(counted))
      return tokens
    } catch (error) {
      throw asThrown(error, signal)
    } finally {
      response?.close()
    }
  }

  async *#readStream(
    response: UpstreamResponse,
    reader: MessageReader,
    promptParam: string,
  ): AsyncGenerator<AnswerEvent> {
    while (!reader.isWhole) {
      const events = await response.nextEvents()
      if (!events) return
      for (const { data } of events) {
        const event = objectOf(parseJson(data))
        if (!event) throw response.malformed('sent an event that is no JSON object', data)
        if (event['type'] === 'error') throw this.#refused(data, 500, null, promptParam)
        for (const read of reader.read(event)) yield read
      }
    }
  }

  #headersFor({ betas = [] }: Question): Record<string, string> {
    const all = new Set([...this.#betas, ...betas])
    return all.size === 0 ? VERSION : { ...VERSION, [BETA]: [...all].join(',') }
  }

  async #refusal(response: UpstreamResponse, promptParam: string): Promise<GatewayError> {
    const retryAfterMs = readRetryAfter(response.headers)
    return this.#refused(await response.text(), response.status, retryAfterMs, promptParam)
  }

  #refused(text: string, answered: number, retryAfterMs: number | null, promptParam: string) {
    const { status, said } = readError(text, answered)
    return refusedBy(this.#http, { status, said, text, retryAfterMs, promptParam })
  }

  /** until when its certificate is good; null where there is none, or it was not asked yet */
  get certificateEndsMs(): number | null {
    return this.#http.certificateEndsMs
  }

  /** Takes no more requests; resolves when those that run have ended. */
  retire(): Promise<void> {
    return this.#http.retire()
  }

  /** Closes every connection; requests that run are cut. */
  close(): Promise<void> {
    return this.#http.close()
  }
}

/** What is declared of them goes together with what clients ask for, and not instead of it. */
function splitBetas(headers: Record<string, string>): [string[], Record<string, string>] {
  const betas: string[] = []
  const others: Record<string, string> = {}
  for (const [name, value] of Object.entries(headers)) {
    if (name.toLowerCase() !== BETA) others[name] = value
    else betas.push(...value.split(',').map((beta) => beta.trim()))
  }
  return [betas.filter((beta) => beta !== ''), others]
}
