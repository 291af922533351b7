// The contract of whatever answers: an engine on one of our hosts, or somebody's API.
//
// A backend is handed what the client wants in our own terms and yields deltas, then usage. A refusal is thrown before
// the first delta, so that the gateway can still answer with a status or ask another backend; after it, a throw is a
// cut. Aborting the signal, or leaving the iteration, frees whatever the request holds.
//
// Checklist for a new backend: implement Backend, throw nothing but GatewayError or the signal's reason, register it
// where main.ts makes them, and give its faults a scripted test.

import type {
  FinishReason,
  Prompt,
  SamplingOptions,
  Timings,
  TokenLogprob,
  Usage,
  VersionId,
} from '../../runtime/protocol.ts'

/** What a client asked for. */
export interface Chat {
  /** the exchange's id */
  id: string
  version: VersionId
  /** one for a chat; completions may ask about several texts at once */
  prompts: Prompt[]
  /** what the client's dialect calls the prompt, for errors that are about it */
  promptParam: string
  /** answers to each prompt; choice `p * choices + c` is the c-th answer to the p-th prompt */
  choices: number
  /** with a seed, the c-th answer takes seed + c, so that each can be had again alone */
  sampling: SamplingOptions
  maxTokens?: number
  stop: string[]
  echo: boolean
}

export type AnswerEvent =
  /** a prompt was taken up; once for each prompt */
  | { type: 'started'; promptTokens: number; cachedTokens: number; queueMs: number }
  | AnswerDelta
  | { type: 'finished'; choice: number; finishReason: FinishReason }
  /** the last event: prompt tokens count once for each prompt, completion tokens for each choice */
  | { type: 'done'; usage: Usage; timings: Timings }

interface AnswerDelta {
  type: 'delta'
  choice: number
  text: string
  /** tokens since the choice's delta before this one */
  tokens: number
  logprobs?: TokenLogprob[]
}

export interface Backend {
  complete(chat: Chat, signal: AbortSignal): AsyncIterable<AnswerEvent>
}
