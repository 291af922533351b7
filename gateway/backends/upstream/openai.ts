// The backend over whoever speaks OpenAI's dialect: OpenAI, Azure, vLLM, Ollama, llama.cpp, Together and others.
//
// What is asked as a stream is asked for as one, with its usage; what is not comes whole, as most servers then do less.
// Until the first event everything that goes wrong is a refusal, after it a cut; neither ever looks like an answer.
//
// Knows: the dialect's addresses and options, and the order of things. Does not know: routing, callers, Fastify.

import { asThrown, UpstreamFault } from './fault.ts'
import { UpstreamHttp } from './http.ts'
import { AnswerReader, ErrorWithin, UnreadableAnswer } from './openai/answer-reader.ts'
import { addressOf } from './openai/address.ts'
import { chatBody } from './openai/chat-body.ts'
import { completionBody } from './openai/completion-body.ts'
import { embeddingBody, readEmbeddings } from './openai/embeddings.ts'
import { pass } from './openai/pass.ts'
import { refusalOf, refusalWithin } from './openai/refusal.ts'
import { readRanking, rerankBody } from './openai/rerank.ts'
import type {
  AnswerEvent,
  Asking,
  Backend,
  EmbeddingQuestion,
  Embeddings,
  PassedAnswer,
  PassedRequest,
  Question,
  Ranking,
  RerankQuestion,
} from '../backend.ts'
import type { Address, AzureOptions } from './openai/address.ts'
import type { WireOptions } from './openai/generation-body.ts'
import type { UpstreamResponse } from './http-response.ts'
import type { ServerEvent } from './sse.ts'

export interface OpenAIUpstreamOptions extends Partial<WireOptions> {
  /** `https://api.openai.com/v1`, `https://<resource>.openai.azure.com`, `http://localhost:8000/v1` */
  baseUrl: string
  /** null: the server asks for none */
  apiKey: string | null
  /** further headers, with every request */
  headers?: Record<string, string>
  /** absent: it is not Azure */
  azure?: AzureOptions
  connectMs?: number
  /** without a single byte of an answer */
  silenceMs?: number
  connections?: number
}

const DONE = '[DONE]'

export class OpenAIUpstream implements Backend {
  readonly #http: UpstreamHttp
  readonly #address: Address
  readonly #wire: WireOptions

  /** @throws Error where the address is none */
  constructor(options: OpenAIUpstreamOptions) {
    const { baseUrl, apiKey, azure, headers, ...rest } = options
    this.#address = addressOf(baseUrl, apiKey, azure)
    this.#http = new UpstreamHttp({
      ...rest,
      baseUrl: this.#address.baseUrl,
      headers: { ...this.#address.headers, ...headers },
    })
    this.#wire = {
      streamUsage: options.streamUsage ?? true,
      maxTokensField:
        options.maxTokensField ??
        (this.#address.isOpenAIs ? 'max_completion_tokens' : 'max_tokens'),
      reasoningField: options.reasoningField ?? null,
      hasDeveloperRole: options.hasDeveloperRole ?? this.#address.isOpenAIs,
    }
  }

  async *answer(
    question: Question,
    { version, signal, headers }: Asking,
  ): AsyncGenerator<AnswerEvent> {
    const isChat = question.kind === 'chat'
    const path = this.#address.pathOf(isChat ? '/chat/completions' : '/completions', version)
    const body = isChat
      ? chatBody(question, version, this.#wire)
      : completionBody(question, version, this.#wire)
    let response: UpstreamResponse | null = null
    try {
      response = await this.#http.post(path, body, { signal, headers })
      if (response.status !== 200) throw await refusalOf(response, this.#http, question.promptParam)
      const reader = new AnswerReader(question)
      const events: AnswerEvent[] = []
      if (isStream(response, question.isStreamed)) {
        // No generator of its own for the stream: delegating costs a promise more for each event.
        let isOver = false
        for (let batch; !isOver && (batch = await response.nextEvents());) {
          for (const event of batch) {
            isOver = readEvent(event, reader, events)
            for (const each of events) yield each
            events.length = 0
            if (isOver) break
          }
        }
      } else {
        reader.readBody(await response.json(), events)
        // Of half an answer nothing is told: until its first event another may answer.
        if (reader.isWhole) yield* events
      }
      if (!reader.isWhole) throw response.cut(`ended its answer when ${reader.progress}`)
      response.release()
      yield reader.done()
    } catch (error) {
      throw asThrown(this.#translate(error, response, question), signal)
    } finally {
      // Does nothing to an answer that was released, and hangs up on any other.
      response?.close()
    }
  }

  async embed(
    question: EmbeddingQuestion,
    { version, signal, headers }: Asking,
  ): Promise<Embeddings> {
    const path = this.#address.pathOf('/embeddings', version)
    const body = embeddingBody(question, version)
    try {
      const response = await this.#http.post(path, body, { signal, headers })
      if (response.status !== 200) throw await refusalOf(response, this.#http, 'input')
      return readEmbeddings(await response.json(), question, (what, text) =>
        response.malformed(what, text),
      )
    } catch (error) {
      throw asThrown(error, signal)
    }
  }

  async rerank(question: RerankQuestion, { version, signal }: Asking): Promise<Ranking> {
    const path = this.#address.pathOf('/rerank', version)
    const body = rerankBody(question, version)
    try {
      const response = await this.#http.post(path, body, { signal })
      if (response.status !== 200) throw await refusalOf(response, this.#http, 'documents')
      return readRanking(await response.json(), question, (what, text) =>
        response.malformed(what, text),
      )
    } catch (error) {
      throw asThrown(error, signal)
    }
  }

  pass(request: PassedRequest, model: string | null, signal: AbortSignal): Promise<PassedAnswer> {
    return pass(this.#http, this.#address, request, model, signal)
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

  #translate(error: unknown, response: UpstreamResponse | null, question: Question): unknown {
    if (error instanceof ErrorWithin) {
      return refusalWithin(error.error, this.#http, question.promptParam)
    }
    if (error instanceof UnreadableAnswer && response) {
      return response.malformed(error.message, error.text)
    }
    return error
  }
}

/** @returns whether the stream said that it is over */
function readEvent({ event, data }: ServerEvent, reader: AnswerReader, into: AnswerEvent[]) {
  if (data === DONE) return true
  if (data === '') return false
  // Some servers name the event instead of the object in it.
  if (event === 'error') throw new ErrorWithin(errorIn(data))
  reader.readChunk(data, into)
  return false
}

function errorIn(data: string): unknown {
  try {
    const body = JSON.parse(data) as { error?: unknown } | null
    return body?.error ?? body
  } catch {
    return data
  }
}

/** What it is, and not what was asked for: a server that streams to everybody, or to nobody, is understood too. */
function isStream(response: UpstreamResponse, isAsked: boolean): boolean {
  const type = response.headers['content-type'] ?? ''
  if (type.startsWith('text/event-stream')) return true
  if (type.startsWith('application/json')) return false
  if (type.startsWith('text/html')) {
    throw new UpstreamFault('malformed', 'An upstream answered with a page of HTML.')
  }
  return isAsked
}
