// Everything that crosses the process boundary between the gateway and the runtime, as types.
//
// The gateway speaks HTTP to a runtime host (`host.ts`), over a unix socket or TCP; `client.ts` is its front door:
//
//   POST /generate          GenerateRequest      → NDJSON, one GenerateEvent a line, until `done` or `error`
//   POST /encode            EncodeRequest        → NDJSON, `encoded` or `error`, when all of it is there
//   POST /versions/load     LoadRequest          → NDJSON, one LoadEvent a line, until `ready` or `error`
//   POST /versions/unload   { version: string }  → 204
//   POST /versions/want     WantRequest          → 204; what this gateway wants resident, until it no longer says so
//   POST /versions/fit      { version: string }  → Fit
//   GET  /stats                                  → HostStats
//   GET  /metrics                                → the same in Prometheus' text format
//   GET  /healthz                                → 200 while the host answers
//
// Closing the connection of a generate or encode request cancels it: the engine frees its slot, or drops its texts, before the
// next step.
//
// A status other than 200 and 204 is for requests that should not have been sent: 400 (not JSON, wrong shape), 401 (token),
// 404 (no such path), 413 (longer than MAX_BODY_BYTES), 415; its body is an ErrorBody. Everything else, refusals before
// `started` too, is 200 and an `error` line, so that there is one place to look. An NDJSON answer whose last line is none of
// `done`, `encoded`, `ready` and `error` was cut off. Empty lines say that the host is still there and mean nothing else.
//
// Knows: text in, text out, and the figures that go with it. Does not know: HTTP statuses of the gateway, callers, SQL.

/** Longest request body: prompts may be long, but a body is held in memory and parsed in one go. */
export const MAX_BODY_BYTES = 64 * 1024 * 1024

/** Most milliseconds between two lines of an NDJSON answer; an idle one gets empty lines this often. */
export const HEARTBEAT_MS = 15_000

/** What comes with a status other than 200 and 204. */
export interface ErrorBody {
  error: RuntimeFailure
}

/** A version's full id, `<model>@<version>`, e.g. `smollm2-135m-instruct@1`. */
export type VersionId = string

export interface ChatMessage {
  role: 'system' | 'developer' | 'user' | 'assistant' | 'tool'
  content: string
  name?: string
}

/** `chat` goes through the version's chat template; `text` and `tokens` are continued as they are. */
export type Prompt =
  | { kind: 'chat'; messages: ChatMessage[] }
  | { kind: 'text'; text: string }
  | { kind: 'tokens'; ids: number[] }

/** How the next token is chosen. Absent fields take the version's own defaults (manifest `sampling`), then those here. */
export interface SamplingOptions {
  /** 0 is greedy; default 1 */
  temperature?: number
  /** keep the k most likely; 0 keeps all (default) */
  topK?: number
  /** nucleus mass in (0, 1]; default 1 */
  topP?: number
  /** keep what has at least this share of the most likely token's probability; default 0 */
  minP?: number
  /** any integer; the same seed and request give the same tokens whatever else is in the batch */
  seed?: number
  /** subtracted once from the logit of every token that was generated already; default 0 */
  presencePenalty?: number
  /** subtracted for each time a token was generated already; default 0 */
  frequencyPenalty?: number
  /** divides positive and multiplies negative logits of tokens in prompt and answer; default 1 */
  repetitionPenalty?: number
  /** token id → added to its logit */
  logitBias?: Record<number, number>
  /** report the chosen token's log-probability and this many alternatives (0 to 20) */
  logprobs?: number
}

export interface GenerateRequest {
  /** the exchange's id; unique among requests that run */
  id: string
  version: VersionId
  prompt: Prompt
  sampling: SamplingOptions
  /** most tokens to generate; absent: as many as the context has room for */
  maxTokens?: number
  /** the answer ends before any of these; they are not part of it */
  stop: string[]
  /** give the prompt back as the start of the answer (completions' `echo`) */
  echo?: boolean
  /** keep generating past end-of-turn tokens (benchmarks) */
  ignoreEnd?: boolean
}

export interface TokenLogprob {
  token: string
  /** the token's own bytes; a character may be spread over several tokens */
  bytes: number[]
  logprob: number
  /** the most likely tokens, best first, as many as asked for */
  top: { token: string; bytes: number[]; logprob: number }[]
}

export interface Usage {
  promptTokens: number
  /** prompt tokens whose keys and values were still in the cache */
  cachedTokens: number
  completionTokens: number
}

/** Milliseconds, from when the engine received the request. */
export interface Timings {
  queueMs: number
  prefillMs: number
  decodeMs: number
  timeToFirstTokenMs: number
}

export type FinishReason = 'stop' | 'length'

export type GenerateEvent =
  /** the request has a slot and its prompt is being computed */
  | { type: 'started'; promptTokens: number; cachedTokens: number; queueMs: number }
  /** a piece of the answer: whole characters only; `tokens` counts the tokens since the last delta */
  | { type: 'delta'; text: string; tokens: number; logprobs?: TokenLogprob[] }
  | { type: 'done'; finishReason: FinishReason; usage: Usage; timings: Timings }
  | { type: 'error'; error: RuntimeFailure }

/** A text, two that are read together, or token ids as they are, marks and all. */
export type EncoderInput = string | { text: string; pair: string } | readonly number[]

/** What a model that reads whole texts is asked. */
export type EncodeRequest = {
  /** the exchange's id; unique among requests that run */
  id: string
  version: VersionId
  /** cut texts that are too long (of a pair, its second); absent: they are refused */
  truncate?: boolean
} & (
  | { task: 'embed'; inputs: EncoderInput[]; dimensions?: number }
  /** how well each document answers the query */
  | { task: 'rerank'; query: string; documents: string[] }
  /** labels of texts, or of the words in them: the version says which */
  | { task: 'classify'; inputs: EncoderInput[] }
)

export type EncodeResult =
  /** little-endian 32-bit numbers of each vector, in base64 */
  | { kind: 'vectors'; vectors: string[] }
  /** in 0…1, by document: the logistic function of what the model says */
  | { kind: 'scores'; scores: number[] }
  /** the version's labels, and each input's probabilities in their order */
  | { kind: 'labels'; labels: string[]; scores: number[][] }
  | { kind: 'entities'; entities: Entity[][] }

/** Neighbouring tokens of one label. */
export interface Entity {
  label: string
  /** the mean of its tokens' probabilities */
  score: number
  word: string
  /** where it is in the text, in UTF-16 code units, the end not included */
  start: number
  end: number
}

export type EncodeEvent =
  | {
      type: 'encoded'
      result: EncodeResult
      promptTokens: number
      queueMs: number
      computeMs: number
    }
  | { type: 'error'; error: RuntimeFailure }

export interface RuntimeFailure {
  code: RuntimeErrorCode
  /** one sentence: what was wrong, what was given, what is allowed */
  message: string
  /** it may be otherwise in a moment: what is in the way is at work, and will be done */
  isPassing?: boolean
  /** the figures behind `context_length_exceeded` */
  promptTokens?: number
  maxTokens?: number
  contextTokens?: number
}

// Adding a code: give it a status in gateway/errors.ts.
export type RuntimeErrorCode =
  /** prompt, or prompt and maxTokens, do not fit the context */
  | 'context_length_exceeded'
  /** the waiting queue is full */
  | 'overloaded'
  /** no such version on this host, or it isn't loaded */
  | 'version_not_loaded'
  /** the version folder is damaged or of a kind that this build can't serve */
  | 'version_unusable'
  /** the engine process ended while the request ran */
  | 'engine_lost'
  /** the host is shutting down */
  | 'draining'
  /** the request can't be honoured by this version: no chat template, a token id outside the vocabulary, … */
  | 'invalid_request'
  /** the host's budget has no room for the version; nothing was touched */
  | 'insufficient_memory'
  /** the version's model does something else: it makes embeddings and was asked to chat, … */
  | 'wrong_kind'
  /** the runtime can't be reached or broke off */
  | 'runtime_unreachable'
  /** a broken invariant */
  | 'internal'

export interface VersionRequest {
  version: VersionId
}

export interface LoadRequest extends VersionRequest {
  /** whether idle versions that nobody wants are ended for it; default true */
  mayEvict?: boolean
}

/** What one gateway wants resident on this host, all of it; what it said before counts no more. */
export interface WantRequest {
  /** the gateway: what several want counts together */
  by: string
  versions: VersionId[]
  /** forgotten after this, so that a gateway that is gone keeps nothing loaded */
  forMs: number
}

/** Whether a version could be loaded now, and what is in the way. */
export interface Fit {
  version: VersionId
  fits: boolean
  /** it is loaded, or being loaded, so that nothing more is needed */
  isLoaded: boolean
  needBytes: number
  /** what is left of the host's budget, or of the machine's memory where that is less */
  freeBytes: number
  /** idle versions that nobody wants, which a load would end */
  evicts: VersionId[]
  holders: Holder[]
}

/** A version that has memory of the host. */
export interface Holder {
  version: VersionId
  bytes: number
  /** why it stays, or does not: it is at work, a gateway wants it, or neither */
  why: 'in_use' | 'wanted' | 'idle'
}

export type LoadEvent =
  /** `fraction` in 0…1 where known */
  | { type: 'progress'; phase: 'starting' | 'loading' | 'warming'; fraction?: number }
  | { type: 'ready'; loadMs: number }
  | { type: 'error'; error: RuntimeFailure }

/** what forward passes run on */
export type Device = 'cpu' | 'cuda' | 'webgpu'

export type EngineState = 'loading' | 'ready' | 'restarting' | 'draining' | 'failed'

/** Figures of one engine; counters since its start, sizes in bytes, times in seconds. */
export interface EngineStats {
  version: VersionId
  state: EngineState
  /** why it is `failed` or `restarting` */
  reason?: string
  pid: number | null
  restarts: number
  running: number
  waiting: number
  slots: number
  /** most tokens of one sequence, prompt and answer */
  contextTokens: number
  /** tokens now held in the KV cache by running sequences, and how many would fit */
  kvTokensUsed: number
  kvTokensCapacity: number
  memoryBytes: number
  /** milliseconds since 1970: when it last had something to do, or was loaded */
  lastUsedAt: number
  /** a gateway wants it resident */
  isWanted: boolean
  loadMs: number
  steps: number
  /** sequences that had a part in a step, over all steps */
  stepSequences: number
  prefillTokens: number
  decodeTokens: number
  cachedTokens: number
  /** seconds spent in forward passes */
  prefillSeconds: number
  decodeSeconds: number
  /** versions that are adapters of this one, and which it answers for too */
  adapters?: VersionId[]
}

export interface HostMemory {
  /** the machine's, or what its control group allows */
  totalBytes: number
  /** of that, what nobody uses */
  freeBytes: number
  /** what engines may have together, and what they have */
  budgetBytes: number
  usedBytes: number
}

/** Whether an engine serves a version: its own, or an adapter of it that it has taken in. */
export function servesVersion(engine: EngineStats, version: VersionId): boolean {
  return engine.version === version || (engine.adapters ?? []).includes(version)
}

export interface HostStats {
  pid: number
  device: Device
  memory: HostMemory
  engines: EngineStats[]
}
