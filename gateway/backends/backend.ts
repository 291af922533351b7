// The contract of whatever answers: an engine on one of our hosts, or somebody's API.
//
// A backend is handed what the client wants in our own terms and yields deltas, then usage. A refusal is thrown before
// the first delta, so that the gateway can still answer with a status or ask another backend; after it, a throw is a
// cut. Aborting the signal, or leaving the iteration, frees whatever the request holds.
//
// Checklist for a new backend: implement Backend, throw nothing but GatewayError or the signal's reason, register it
// where app.ts makes them, and give its faults a scripted test.

import type { Readable } from 'node:stream'

import type { Message, ResponseFormat, Tool, ToolChoice } from './conversation.ts'
import type {
  Entity,
  SamplingOptions,
  Timings,
  TokenLogprob,
  Usage,
} from '../../runtime/protocol.ts'

/** What all questions have in common. */
interface Generation {
  /** the exchange's id */
  id: string
  /** what the client's dialect calls the prompt, for errors that are about it */
  promptParam: string
  /** the client reads the answer as it comes; otherwise all of it may come at once */
  isStreamed: boolean
  /** answers to each prompt; choice `p * choices + c` is the c-th answer to the p-th prompt */
  choices: number
  /** with a seed, the c-th answer takes seed + c, so that each can be had again alone */
  sampling: SamplingOptions
  maxTokens?: number
  stop: string[]
  /** the end user, as the client names them */
  user?: string
  /**
   * What else the body said that isn't understood here, by the names of the client's dialect. A target that speaks the
   * same dialect gets it as it is; any other refuses it by name.
   */
  extra: Record<string, unknown>
  dialect: Dialect
  /**
   * Features on trial that the client asks for by name. They allow things and ask for none, so that only a target of the
   * same dialect is told.
   */
  betas?: string[]
}

/** wire formats of clients and of upstreams */
export type Dialect = 'openai' | 'openai-responses' | 'anthropic' | 'gemini'

/** A conversation to be answered. */
export interface Chat extends Generation {
  kind: 'chat'
  messages: Message[]
  tools: Tool[]
  /** absent where nothing was said */
  toolChoice?: ToolChoice
  parallelToolCalls?: boolean
  responseFormat?: ResponseFormat
  reasoningEffort?: string
}

/** Texts to be continued. */
export interface Completion extends Generation {
  kind: 'completion'
  prompts: TextPrompt[]
  echo: boolean
}

export type TextPrompt = { kind: 'text'; text: string } | { kind: 'tokens'; ids: number[] }

export type Question = Chat | Completion

export type FinishReason = 'stop' | 'length' | 'tool_calls' | 'content_filter'

export type AnswerEvent =
  /** a prompt was taken up, where the target tells; once for each prompt */
  | { type: 'started'; promptTokens: number; cachedTokens: number; queueMs: number }
  | AnswerDelta
  /** a piece of what the model thinks before it answers */
  | { type: 'reasoning'; choice: number; text: string; signature?: string }
  /** a piece of a refusal in the model's own words */
  | { type: 'refusal'; choice: number; text: string }
  /** a tool call begins; `index` counts the calls of the choice from 0 */
  | { type: 'toolCall'; choice: number; index: number; id: string; name: string }
  /** a piece of a tool call's arguments, JSON text */
  | { type: 'toolArguments'; choice: number; index: number; text: string }
  /** `stopSequence`: the client's stop string that ended it, where the target tells */
  | { type: 'finished'; choice: number; finishReason: FinishReason; stopSequence?: string }
  /** the last event, and only of a whole answer: prompt tokens count once for each prompt, completion tokens for each choice */
  | { type: 'done'; usage: AnswerUsage; timings: Timings | null }

export interface AnswerUsage extends Usage {
  /** part of completionTokens */
  reasoningTokens?: number
  /** part of promptTokens: those that the target put into its cache, where it tells */
  cacheWriteTokens?: number
  /** nobody measured: counted from the texts */
  isEstimated?: boolean
}

interface AnswerDelta {
  type: 'delta'
  choice: number
  text: string
  /** tokens since the choice's delta before this one; null where the target does not tell */
  tokens: number | null
  logprobs?: TokenLogprob[]
}

/** What a target is asked with: the version to answer with, as its backend names it. */
export interface Asking {
  /** a local version's full id, or the model's name at an upstream */
  version: string
  signal: AbortSignal
  /** further ones, for a target that is reached over HTTP: the request's trace */
  headers?: Record<string, string> | undefined
}

export interface Backend {
  answer(question: Question, asking: Asking): AsyncIterable<AnswerEvent>
  /** How many prompt tokens the target counts for a conversation; absent where it doesn't tell. */
  countTokens?(chat: Chat, asking: Asking): Promise<number>
  /** absent where it can't */
  embed?(question: EmbeddingQuestion, asking: Asking): Promise<Embeddings>
  /** absent where it can't */
  rerank?(question: RerankQuestion, asking: Asking): Promise<Ranking>
  /** absent where it can't */
  classify?(question: ClassifyQuestion, asking: Asking): Promise<Classification>
  /**
   * A request of OpenAI's dialect as it came; absent where it can't.
   *
   * @param model for addresses that name it; null where the request is for none
   */
  pass?(request: PassedRequest, model: string | null, signal: AbortSignal): Promise<PassedAnswer>
}

/** A request that isn't understood here, for whoever does. */
export interface PassedRequest {
  method: string
  /** from the version on: `/images/generations`; one of those that are known here */
  path: string
  /** without its question mark; may be empty */
  query: string
  /** all of the client's; what goes on is chosen where it does */
  headers: Record<string, string>
  body: Buffer | Readable | null
}

export interface PassedAnswer {
  status: number
  /** what may be told of the upstream's */
  headers: Record<string, string>
  /** as it comes, with its encoding; leaving the iteration ends the call */
  body: AsyncIterable<Buffer>
  /** what the upstream says against the request; null where it did what was asked */
  refusal: string | null
}

/** Texts whose meaning is wanted as vectors. */
export interface EmbeddingQuestion {
  id: string
  inputs: TextPrompt[]
  dimensions?: number
  user?: string
  extra: Record<string, unknown>
}

export interface Embeddings {
  /** one for each input, in order */
  vectors: Float32Array[]
  promptTokens: number
  isEstimated?: boolean
}

/** Documents to be put in the order in which they answer a query. */
export interface RerankQuestion {
  id: string
  query: string
  documents: string[]
  user?: string
  extra: Record<string, unknown>
}

export interface Ranking {
  /** one for each document, in order of the documents; more is better */
  scores: number[]
  promptTokens: number
  isEstimated?: boolean
}

/** Texts, or pairs of them, that are to be labelled, or searched for names of things. */
export interface ClassifyQuestion {
  id: string
  inputs: (string | { text: string; pair: string })[]
  user?: string
  extra: Record<string, unknown>
}

/** One entry for each input, in order. */
export type Classification = { promptTokens: number; isEstimated?: boolean } & (
  | { kind: 'labels'; labels: { label: string; score: number }[][] }
  | { kind: 'entities'; entities: Entity[][] }
)
