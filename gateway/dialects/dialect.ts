// What a client's wire format has to be able to say, so that an answer can be told in it.
//
// A format is made for one request, with everything in it that stays the same. Frames are strings, whole and ready for
// the socket.

import type { Chat } from '../backends/backend.ts'
import type { GatewayError } from '../errors.ts'
import type { FinishReason, TokenLogprob, Usage } from '../../runtime/protocol.ts'

/** What is asked, without who answers. */
export interface Asked extends Omit<Chat, 'id' | 'version'> {
  isStreamed: boolean
  includesUsage: boolean
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
}

export interface AnswerFormat {
  /** what opens the stream; may be empty */
  opening(): string
  delta(choice: number, text: string, logprobs: TokenLogprob[] | undefined): string
  finish(choice: number, reason: FinishReason): string
  /** what ends the stream of a whole answer, and only of a whole one */
  ending(usage: Usage): string
  /** what ends a stream that broke */
  failure(error: GatewayError): string
  /** the body of an answer that isn't streamed */
  whole(choices: Choice[], usage: Usage): string
}
