// Google's Gemini API as a backend.
//
// Until the first event everything that goes wrong is a refusal, after it a cut; neither ever looks like an answer.
//
// Knows: the API's addresses and way of failing. Does not know: bodies and chunks, which are in gemini/; routing,
// callers, Fastify.

import { GatewayError } from '../../errors.ts'
import { isEventStream } from './content-kind.ts'
import { asThrown, readRetryAfter, UpstreamFault } from './fault.ts'
import { ChunkReader, NoAnswer } from './gemini/answer.ts'
import { readError } from './gemini/errors.ts'
import { writeCountBody, writeGenerateBody } from './gemini/request.ts'
import { estimateTextPrompts } from './estimate.ts'
import { UpstreamHttp } from './http.ts'
import { refusedBy } from './refused.ts'
import { cantHonour, refuseExtra } from './unsupported.ts'
import { countOf, fieldsOf, listOf, objectOf, parseJson } from './wire-fields.ts'
import type {
  AnswerEvent,
  Asking,
  Backend,
  Chat,
  EmbeddingQuestion,
  Embeddings,
  Question,
} from '../backend.ts'
import type { RequestOptions } from './http.ts'
import type { UpstreamResponse } from './http-response.ts'
import type { Fields } from './wire-fields.ts'

export interface GeminiUpstreamOptions {
  /** default: https://generativelanguage.googleapis.com/v1beta */
  baseUrl?: string
  apiKey: string | null
  /** further headers, with every request */
  headers?: Record<string, string>
  connectMs?: number
  /** without a single byte of an answer */
  silenceMs?: number
  connections?: number
}

/** texts of one request for vectors: the API's own bound, where OpenAI's is 2,048 */
const MAX_BATCH = 100

const BASE_URL = 'https://generativelanguage.googleapis.com/v1beta'

export class GeminiUpstream implements Backend {
  readonly #http: UpstreamHttp

  /** @throws Error where the address is none */
  constructor({ baseUrl = BASE_URL, apiKey, headers, ...rest }: GeminiUpstreamOptions) {
    // In a header and not in the address, where logs would have it.
    const key: Record<string, string> = apiKey === null ? {} : { 'x-goog-api-key': apiKey }
    this.#http = new UpstreamHttp({ ...rest, baseUrl, headers: { ...key, ...headers } })
  }

  async *answer(question: Question, { version, ...asking }: Asking): AsyncGenerator<AnswerEvent> {
    const body = writeGenerateBody(question, version)
    const reader = new ChunkReader(question)
    const method = question.isStreamed ? 'streamGenerateContent?alt=sse' : 'generateContent'
    const path = `/${resourceOf(version)}:${method}`
    let response: UpstreamResponse | null = null
    try {
      response = await this.#post(path, body, asking, question.promptParam)
      yield* this.#read(response, reader, question)
      if (!reader.isWhole) throw response.cut('ended its answer without saying why')
      response.release()
      yield reader.end()
    } catch (error) {
      throw asThrown(error, asking.signal)
    } finally {
      response?.close()
    }
  }

  async countTokens(chat: Chat, { version, ...asking }: Asking): Promise<number> {
    const resource = resourceOf(version)
    const body = writeCountBody(chat, resource)
    const counted = await this.#call(`/${resource}:countTokens`, body, asking, chat.promptParam)
    const tokens = countOf(fieldsOf(counted)['totalTokens'])
    if (tokens !== undefined) return tokens
    throw new GatewayError('upstream_malformed', 'The upstream counted no tokens.')
  }

  /** Nobody tells how many tokens they were: they are estimated. */
  async embed(
    { inputs, dimensions, extra }: EmbeddingQuestion,
    { version, ...asking }: Asking,
  ): Promise<Embeddings> {
    refuseExtra(extra)
    const resource = resourceOf(version)
    const texts = inputs.map((input) => {
      if (input.kind === 'text') return input.text
      throw cantHonour('input', 'it takes texts; got token ids, which are of another model')
    })
    const requests = texts.map((text) => ({
      model: resource,
      content: { parts: [{ text }] },
      ...(dimensions !== undefined && { outputDimensionality: dimensions }),
    }))
    const path = `/${resource}:batchEmbedContents`
    const vectors: Float32Array[] = []
    for (let at = 0; at < requests.length; at += MAX_BATCH) {
      const batch = { requests: requests.slice(at, at + MAX_BATCH) }
      const embedded = await this.#call(path, batch, asking, 'input')
      for (const { values } of listOf(fieldsOf(embedded)['embeddings'])) {
        vectors.push(Float32Array.from(Array.isArray(values) ? (values as number[]) : []))
      }
    }
    const isWhole = vectors.length === texts.length && vectors.every(({ length }) => length > 0)
    if (!isWhole) {
      throw new GatewayError(
        'upstream_malformed',
        `The upstream gave ${vectors.length} vectors for ${texts.length} texts, or empty ones.`,
      )
    }
    return { vectors, promptTokens: estimateTextPrompts(inputs), isEstimated: true }
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

  async *#read(
    response: UpstreamResponse,
    reader: ChunkReader,
    { isStreamed, promptParam }: Question,
  ): AsyncGenerator<AnswerEvent> {
    try {
      if (!(await isEventStream(response, isStreamed))) {
        // One chunk, or, where a proxy dropped the query, an array of them.
        const body = await response.json()
        const events: AnswerEvent[] = []
        for (const chunk of Array.isArray(body) ? listOf(body) : [fieldsOf(body)]) {
          if ('error' in chunk) throw this.#refused(JSON.stringify(chunk), response, promptParam)
          events.push(...reader.read(chunk))
        }
        // Of half an answer nothing is told: until its first event another may answer.
        if (reader.isWhole) yield* events
        return
      }
      // To the end and not only until it is whole: the last chunk may have the counts alone.
      for (let events; (events = await response.nextEvents());) {
        for (const { data } of events) {
          const chunk = objectOf(parseJson(data))
          if (!chunk) throw response.malformed('sent an event that is no JSON object', data)
          if ('error' in chunk) throw this.#refused(data, response, promptParam)
          for (const read of reader.read(chunk)) yield read
        }
      }
    } catch (error) {
      if (!(error instanceof NoAnswer)) throw error
      throw new UpstreamFault(
        'status',
        `The upstream at ${this.#http.origin} ended its answer with ${error.message}.`,
        { status: 500 },
      )
    }
  }

  /** A request whose answer is one JSON value. */
  async #call(path: string, body: Fields, asking: RequestOptions, promptParam: string) {
    let response: UpstreamResponse | null = null
    try {
      response = await this.#post(path, body, asking, promptParam)
      return await response.json()
    } catch (error) {
      throw asThrown(error, asking.signal)
    } finally {
      response?.close()
    }
  }

  async #post(path: string, body: Fields, asking: RequestOptions, promptParam: string) {
    const response = await this.#http.post(path, body, asking)
    if (response.status === 200) return response
    throw this.#refused(await response.text(), response, promptParam)
  }

  #refused(text: string, response: UpstreamResponse, promptParam: string): GatewayError {
    const { status, said, retryAfterMs } = readError(text, response.status)
    return refusedBy(this.#http, {
      status,
      said,
      text,
      retryAfterMs: retryAfterMs ?? readRetryAfter(response.headers),
      promptParam,
    })
  }
}

/** `gemini-x` is `models/gemini-x`; what has a folder has it (`tunedModels/mine`). */
function resourceOf(model: string): string {
  const path = model.split('/').map(encodeURIComponent).join('/')
  return path.includes('/') ? path : `models/${path}`
}
