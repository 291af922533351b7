// What goes wrong between this gateway and an upstream, in three tellings of the same thing.
//
// An UpstreamFault is for the operator: it names the address and quotes the upstream, free of secrets. A GatewayError
// is what the client is told: it names neither, and has the fault as its cause. A FaultVerdict is what routing makes
// of it.
//
// Knows: statuses, retry-after, the gateway's codes. Does not know: HTTP clients, dialects, how retries are done.

import { GatewayError } from '../../errors.ts'
import type { ErrorCode } from '../../errors.ts'

/**
 * `connect`: there was no connection; `timeout`: nothing came for too long; `cut`: the connection broke; `malformed`:
 * what came can't be read; `status`: the upstream said so itself.
 */
type FaultKind = 'connect' | 'timeout' | 'cut' | 'malformed' | 'status'

interface FaultOptions extends ErrorOptions {
  status?: number
  retryAfterMs?: number | null
  /** the upstream's own words, which may be its request's */
  quote?: string | null
}

export class UpstreamFault extends Error {
  override name = 'UpstreamFault'
  readonly kind: FaultKind
  /** of the answer, for `status` */
  readonly status: number | null
  readonly retryAfterMs: number | null
  readonly quote: string | null

  /** @param message free of secrets, and of what was asked and answered: it is logged */
  constructor(kind: FaultKind, message: string, options: FaultOptions = {}) {
    super(message, { cause: options.cause })
    this.kind = kind
    this.status = options.status ?? null
    this.retryAfterMs = options.retryAfterMs ?? null
    this.quote = options.quote ?? null
  }
}

/** enough of a body that says nothing we know to recognise who sent it */
const QUOTED_CHARACTERS = 500
/** Said before anybody looked at what was asked; and nobody but the operator can do something about it. */
const ABOUT_ACCOUNT = [401, 402, 403]

/** An upstream's own refusal. @param said its words, free of secrets */
export function statusFault(
  origin: string,
  status: number,
  said: string,
  retryAfterMs: number | null,
): UpstreamFault {
  const what = `The upstream at ${origin} answered with status ${status}`
  const quote = said === '' ? null : quoteOf(said, QUOTED_CHARACTERS)
  return ABOUT_ACCOUNT.includes(status) && quote !== null
    ? new UpstreamFault('status', `${what}: ${quote}`, { status, retryAfterMs })
    : new UpstreamFault('status', `${what}.`, { status, retryAfterMs, quote })
}

/** The ellipsis tells whoever redacts it that the text was cut, perhaps in the middle of a number. */
export function quoteOf(text: string, maxCharacters: number): string {
  return text.length <= maxCharacters ? text : `${text.slice(0, maxCharacters)}…`
}

/** What an upstream says in the body of a refusal. */
export interface Refusal {
  message: string
  /** the upstream's own code for it */
  code: string | null
  /** the parameter at fault, by the upstream's name for it */
  param: string | null
}

export interface FaultVerdict {
  /** another attempt, at this target or another, may end otherwise */
  isRetryable: boolean
  /** this target will say the same again: its key, its model or its abilities are at fault */
  isPermanent: boolean
  /** when the target wants to be asked again */
  retryAfterMs: number | null
  /** something is wrong with the target, not with the request */
  countsAgainstTarget: boolean
}

const OURS: Omit<FaultVerdict, 'retryAfterMs'> = {
  isRetryable: true,
  isPermanent: false,
  countsAgainstTarget: true,
}
/** The request is at fault at this target; another may take it. */
const ELSEWHERE = { isRetryable: true, isPermanent: true, countsAgainstTarget: false }
const NOWHERE = { isRetryable: false, isPermanent: true, countsAgainstTarget: false }

const VERDICTS: Partial<Record<ErrorCode, typeof OURS>> = {
  upstream_unreachable: OURS,
  upstream_timeout: OURS,
  upstream_error: OURS,
  upstream_malformed: OURS,
  upstream_rate_limited: OURS,
  upstream_overloaded: OURS,
  upstream_auth: { ...OURS, isPermanent: true },
  runtime_unreachable: OURS,
  engine_lost: OURS,
  overloaded: { ...OURS, countsAgainstTarget: false },
  model_loading: { ...OURS, countsAgainstTarget: false },
  version_not_loaded: { ...OURS, countsAgainstTarget: false },
  draining: { ...OURS, countsAgainstTarget: false },
  version_unusable: { ...OURS, isPermanent: true },
  internal_error: OURS,
  context_length_exceeded: ELSEWHERE,
  unsupported_parameter: ELSEWHERE,
}

/** What routing has to know of an error that a backend threw. */
export function faultOf(error: unknown): FaultVerdict {
  const retryAfterMs = retryAfterOf(error)
  if (!(error instanceof GatewayError)) return { ...OURS, retryAfterMs }
  const verdict = VERDICTS[error.code] ?? NOWHERE
  // A model that the upstream doesn't have, an address that leads nowhere: asking again changes nothing.
  const isMissing = error.cause instanceof UpstreamFault && error.cause.status === 404
  return { ...verdict, isPermanent: verdict.isPermanent || isMissing, retryAfterMs }
}

function retryAfterOf(error: unknown): number | null {
  if (!(error instanceof GatewayError)) return null
  if (error.cause instanceof UpstreamFault) return error.cause.retryAfterMs
  const { retryAfterSeconds } = error.kind
  return retryAfterSeconds === undefined ? null : retryAfterSeconds * 1000
}

const TOLD = {
  upstream_unreachable: "The upstream that answers for this model can't be reached at the moment.",
  upstream_timeout: 'The upstream that answers for this model did not answer in time.',
  upstream_cut: 'The upstream that answers for this model broke off before its answer was whole.',
  upstream_malformed: "The upstream that answers for this model sent something that can't be read.",
  upstream_rate_limited:
    "The upstream that answers for this model limits this server's requests. Try again later.",
  upstream_overloaded: 'The upstream that answers for this model is overloaded. Try again later.',
  upstream_auth:
    "The upstream that answers for this model does not take this server's key. The operator's log says why.",
  upstream_error: 'The upstream that answers for this model failed.',
}

/** The fault as a client is told it. */
function tellFault(fault: UpstreamFault): GatewayError {
  switch (fault.kind) {
    case 'connect':
      return told('upstream_unreachable', fault)
    case 'timeout':
      return told('upstream_timeout', fault)
    case 'cut':
      return told('upstream_error', fault, TOLD.upstream_cut)
    case 'malformed':
      return told('upstream_malformed', fault)
    case 'status':
      return told(codeOfStatus(fault.status ?? 0), fault)
  }
}

/**
 * A refusal as a client is told it. What is about the request keeps the upstream's words; what is about this server's
 * account or the upstream's health does not, and is for the log.
 *
 * @param said null where the body said nothing that can be read
 * @param promptParam what the client's dialect calls the prompt
 */
export function tellRefusal(
  fault: UpstreamFault,
  said: Refusal | null,
  promptParam: string,
): GatewayError {
  const status = fault.status ?? 0
  const isAboutRequest = status === 400 || status === 413 || status === 422
  if (!isAboutRequest) return tellFault(fault)
  const message = said?.message || 'The upstream that answers for this model refused the request.'
  if (isAboutLength(said)) {
    return new GatewayError('context_length_exceeded', message, {
      cause: fault,
      param: promptParam,
    })
  }
  const code = said?.code === 'unsupported_parameter' ? 'unsupported_parameter' : 'invalid_request'
  return new GatewayError(code, message, { cause: fault, param: said?.param ?? undefined })
}

/** Whatever a backend's work ended with, as the contract of backends wants it. */
export function asThrown(error: unknown, signal: AbortSignal): unknown {
  if (signal.aborted) return signal.reason
  return error instanceof UpstreamFault ? tellFault(error) : error
}

function told(code: keyof typeof TOLD & ErrorCode, fault: UpstreamFault, message?: string) {
  const { retryAfterMs } = fault
  return new GatewayError(code, message ?? TOLD[code], {
    cause: fault,
    ...(retryAfterMs !== null && { retryAfterSeconds: Math.ceil(retryAfterMs / 1000) }),
  })
}

function codeOfStatus(status: number) {
  switch (status) {
    case 401:
    case 402:
    case 403:
      return 'upstream_auth'
    case 408:
    case 504:
    case 524:
      return 'upstream_timeout'
    case 429:
      return 'upstream_rate_limited'
    case 503:
    case 529:
      return 'upstream_overloaded'
    default:
      return 'upstream_error'
  }
}

/** Servers other than OpenAI's have no code for it, but they all say "context". */
function isAboutLength(said: Refusal | null): boolean {
  if (!said) return false
  return (
    said.code === 'context_length_exceeded' ||
    /(maximum context length|context (length|window|size)|prompt is too long)/i.test(said.message)
  )
}

/** RFC 9110 section 10.2.3, and OpenAI's finer `retry-after-ms`. */
export function readRetryAfter(
  headers: Record<string, string>,
  nowMs: number = Date.now(),
): number | null {
  const ms = Number(headers['retry-after-ms'])
  if (headers['retry-after-ms'] && ms >= 0) return ms
  const value = headers['retry-after']
  if (!value) return null
  const seconds = Number(value)
  if (seconds >= 0) return Math.round(seconds * 1000)
  const date = Date.parse(value)
  return Number.isNaN(date) ? null : Math.max(0, date - nowMs)
}
