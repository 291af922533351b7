// The backend over our own runtime: each choice is one request to an engine.
//
// A version that isn't loaded is loaded when somebody asks for it. Which versions are loaded is the runtime's to know,
// so there is no list here that could be wrong: the request is tried, and where the answer is `version_not_loaded`, the
// version is loaded (once for all who wait) and the request tried again.
//
// Knows: the runtime's front door. Does not know: HTTP, wire shapes, callers.

import { fromRuntimeFailure, GatewayError, internalError } from '../errors.ts'
import { RuntimeError } from '../../runtime/client.ts'
import { classificationOf, embeddingsOf, encodeRequestOf, rankingOf } from './local-encoding.ts'
import type { EncodeAsk } from './local-encoding.ts'
import { LocalLoads } from './local-loads.ts'
import { localPrompts } from './local-question.ts'
import { merge } from './merge.ts'
import type {
  AnswerEvent,
  Asking,
  Backend,
  Classification,
  ClassifyQuestion,
  EmbeddingQuestion,
  Embeddings,
  Question,
  Ranking,
  RerankQuestion,
} from './backend.ts'
import type { Encoded, Runtime } from '../../runtime/client.ts'
import type {
  GenerateEvent,
  GenerateRequest,
  Prompt,
  Timings,
  Usage,
  VersionId,
} from '../../runtime/protocol.ts'

type EngineEvent = Exclude<GenerateEvent, { type: 'error' }>

export interface LocalBackendOptions {
  runtime: Pick<Runtime, 'generate' | 'encode' | 'load'>
  /** how long a request waits for its version to be loaded before it is told to come back */
  loadWaitMs: number
}

export class LocalBackend implements Backend {
  readonly #runtime: LocalBackendOptions['runtime']
  readonly #loads: LocalLoads

  constructor(options: LocalBackendOptions) {
    this.#runtime = options.runtime
    this.#loads = new LocalLoads(options.runtime, options.loadWaitMs)
  }

  async *answer(question: Question, { version, signal }: Asking): AsyncGenerator<AnswerEvent> {
    const requests = requestsFor(question, version, localPrompts(question))
    const [only] = requests
    try {
      yield* only && requests.length === 1
        ? this.#answerOne(only, signal)
        : this.#answerSeveral(requests, question.choices, signal)
    } catch (error) {
      throw told(error, question.promptParam, signal)
    }
  }

  async embed(question: EmbeddingQuestion, asking: Asking): Promise<Embeddings> {
    return embeddingsOf(await this.#encode({ task: 'embed', question }, 'input', asking))
  }

  async rerank(question: RerankQuestion, asking: Asking): Promise<Ranking> {
    return rankingOf(await this.#encode({ task: 'rerank', question }, 'documents', asking))
  }

  async classify(question: ClassifyQuestion, asking: Asking): Promise<Classification> {
    return classificationOf(await this.#encode({ task: 'classify', question }, 'input', asking))
  }

  async #encode(ask: EncodeAsk, promptParam: string, asking: Asking): Promise<Encoded> {
    const { version, signal } = asking
    const request = encodeRequestOf(ask, version)
    try {
      return await this.#runtime.encode(request, signal).catch(async (error: unknown) => {
        const isMissing = error instanceof RuntimeError && error.code === 'version_not_loaded'
        if (!isMissing) throw error
        await this.#loads.load(version, signal)
        return this.#runtime.encode(request, signal)
      })
    } catch (error) {
      throw told(error, promptParam, signal)
    }
  }

  async *#answerOne(request: GenerateRequest, signal: AbortSignal): AsyncGenerator<AnswerEvent> {
    for await (const event of this.#generate(request, signal)) {
      if (event.type === 'delta') {
        const { text, tokens, logprobs } = event
        yield { type: 'delta', choice: 0, text, tokens, logprobs }
      } else if (event.type === 'started') {
        yield event
      } else {
        yield { type: 'finished', choice: 0, finishReason: event.finishReason }
        yield { type: 'done', usage: event.usage, timings: event.timings }
      }
    }
  }

  /** @param choices answers to each prompt, which come one behind the other */
  async *#answerSeveral(
    requests: GenerateRequest[],
    choices: number,
    signal: AbortSignal,
  ): AsyncGenerator<AnswerEvent> {
    // The choices live and die together: one that is refused takes the others' slots back.
    const together = new AbortController()
    const either = AbortSignal.any([signal, together.signal])
    const sources = requests.map((request) => this.#generate(request, either))
    const usage: Usage = { promptTokens: 0, cachedTokens: 0, completionTokens: 0 }
    let timings: Timings | null = null
    try {
      for await (const [choice, event] of merge(sources)) {
        const isFirstOfPrompt = choice % choices === 0
        if (event.type === 'delta') {
          const { text, tokens, logprobs } = event
          yield { type: 'delta', choice, text, tokens, logprobs }
        } else if (event.type === 'started') {
          if (isFirstOfPrompt) yield event
        } else {
          usage.completionTokens += event.usage.completionTokens
          if (isFirstOfPrompt) {
            usage.promptTokens += event.usage.promptTokens
            usage.cachedTokens += event.usage.cachedTokens
          }
          timings = timings ? slower(timings, event.timings) : event.timings
          yield { type: 'finished', choice, finishReason: event.finishReason }
        }
      }
      if (timings) yield { type: 'done', usage, timings }
    } finally {
      together.abort()
    }
  }

  async *#generate(request: GenerateRequest, signal: AbortSignal): AsyncGenerator<EngineEvent> {
    let isAnswering = false
    try {
      for await (const event of this.#runtime.generate(request, signal)) {
        isAnswering = true
        yield event
      }
    } catch (error) {
      const isMissing = error instanceof RuntimeError && error.code === 'version_not_loaded'
      if (!isMissing || isAnswering) throw error
      await this.#loads.load(request.version, signal)
      yield* this.#runtime.generate(request, signal)
    }
  }
}

/** What went wrong, as clients may be told it. */
function told(error: unknown, promptParam: string, signal: AbortSignal): unknown {
  if (signal.aborted || error instanceof GatewayError) return error
  if (error instanceof RuntimeError) return fromRuntimeFailure(error.failure, promptParam, error)
  return internalError(error)
}

/** One for each choice: `p * choices + c` is the c-th answer to the p-th prompt. */
function requestsFor(question: Question, version: VersionId, prompts: Prompt[]): GenerateRequest[] {
  const { id, choices, sampling, maxTokens, stop } = question
  const { seed } = sampling
  const echo = (question.kind === 'completion' && question.echo) || undefined
  return prompts.flatMap((prompt, p) =>
    Array.from({ length: choices }, (_, c) => ({
      // Ids are unique among running requests, and one exchange may have several.
      id: p + c === 0 ? id : `${id}-${p * choices + c}`,
      version,
      prompt,
      sampling: seed === undefined || c === 0 ? sampling : { ...sampling, seed: seed + c },
      maxTokens,
      stop,
      echo,
    })),
  )
}

function slower(a: Timings, b: Timings): Timings {
  return {
    queueMs: Math.max(a.queueMs, b.queueMs),
    prefillMs: Math.max(a.prefillMs, b.prefillMs),
    decodeMs: Math.max(a.decodeMs, b.decodeMs),
    timeToFirstTokenMs: Math.min(a.timeToFirstTokenMs, b.timeToFirstTokenMs),
  }
}
