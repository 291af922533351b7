// What a client's wire format has to be able to say, so that an answer can be told in it.
//
// A format is made for one request, with everything in it that stays the same. Frames are strings, whole and ready for
// the socket; an empty one is not sent.

import type { AnswerUsage, Chat, Completion, FinishReason } from '../backends/backend.ts'
import type { ToolCall } from '../backends/conversation.ts'
import type { GatewayError } from '../errors.ts'
import type { TokenLogprob } from '../../runtime/protocol.ts'

/** What is asked, before anybody is chosen to answer it. */
export interface Asked {
  question: Omit<Chat, 'id' | 'isStreamed'> | Omit<Completion, 'id' | 'isStreamed'>
  /** as the client named it */
  model: string
  isStreamed: boolean
  /** a last frame with the usage is wanted, where the dialect makes that a choice */
  includesUsage: boolean
  /** the caller wants to read the answer back, by OpenAI's stored completions */
  isStored?: boolean
}

/** What stays the same in all frames of one answer. */
export interface AnswerIdentity {
  /** the exchange's */
  id: string
  /** Unix seconds */
  created: number
  /** as the client named it */
  model: string
  /** the version that answers */
  version: string
  choices: number
  includesUsage: boolean
}

/** One answer, whole. */
export interface Choice {
  text: string
  finishReason: FinishReason
  /** null where they weren't asked for */
  logprobs: TokenLogprob[] | null
  /** thoughts, each with its signature where the target gives one */
  reasoning: { text: string; signature?: string }[]
  /** the client's stop string that ended it, where the target tells */
  stopSequence: string | null
  /** in the model's own words */
  refusal: string | null
  toolCalls: ToolCall[]
}

/** What is known of a prompt when its answer begins. */
export interface PromptCount {
  promptTokens: number
  /** part of promptTokens */
  cachedTokens: number
}

export interface AnswerFormat {
  /** a frame that says nothing, for while nothing comes; null: the dialect has none */
  ping: string | null
  /**
   * what opens the stream; may be empty
   *
   * @param count for whoever says it at the start; estimated where nobody has told
   */
  opening(count: () => PromptCount): string
  delta(choice: number, text: string, logprobs: TokenLogprob[] | undefined): string
  /** @param signature proof of origin of the choice's reasoning, where the target gives one; its text may be empty then */
  reasoning(choice: number, text: string, signature: string | undefined): string
  refusal(choice: number, text: string): string
  toolCall(choice: number, index: number, id: string, name: string): string
  toolArguments(choice: number, index: number, text: string): string
  /** @param stopSequence the client's stop string that ended it, where the target tells */
  finish(choice: number, reason: FinishReason, stopSequence: string | undefined): string
  /** what ends the stream of a whole answer, and only of a whole one; it may have to be kept first */
  ending(usage: AnswerUsage): string | Promise<string>
  /** what ends a stream that broke */
  failure(error: GatewayError): string
  /** the body of an answer that isn't streamed */
  whole(choices: Choice[], usage: AnswerUsage): string | Promise<string>
}
