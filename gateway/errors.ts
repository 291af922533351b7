// Every error that a client can be told: code → status, type, and what it makes of the exchange.
//
// Codes are part of the API: never renamed, never reused. `refused` means that nothing was begun on the request's
// behalf; `failed` that it was begun and this side broke it. Whatever isn't one of these (a bug, a library's own
// exception) is told as `internal_error`, and only the log knows more: neither stack nor path leaves the house.
//
// Knows: codes, statuses, the runtime's codes. Does not know: Fastify, wire shapes.

import type { RuntimeErrorCode, RuntimeFailure } from '../runtime/protocol.ts'

/** OpenAI's; of a rate limit it is what there was too much of */
type ErrorType =
  'invalid_request_error' | 'server_error' | 'requests' | 'tokens' | 'insufficient_quota'

interface ErrorKind {
  status: number
  type: ErrorType
  outcome: 'failed' | 'refused'
  retryAfterSeconds?: number
}

const refused = (status: number): ErrorKind => ({
  status,
  type: 'invalid_request_error',
  outcome: 'refused',
})
const unavailable = (outcome: ErrorKind['outcome'], retryAfterSeconds: number): ErrorKind => ({
  status: 503,
  type: 'server_error',
  outcome,
  retryAfterSeconds,
})

const upstream = (status: number): ErrorKind => ({
  status,
  type: 'server_error',
  outcome: 'failed',
})

const ERRORS = {
  // the request as such
  bad_request: refused(400),
  invalid_json: refused(400),
  empty_body: refused(400),
  request_timeout: refused(408),
  body_too_large: refused(413),
  unsupported_media_type: refused(415),
  headers_too_large: refused(431),
  unknown_url: refused(404),
  method_not_allowed: refused(405),
  // its parameters
  missing_required_parameter: refused(400),
  unknown_parameter: refused(400),
  unsupported_parameter: refused(400),
  invalid_type: refused(400),
  invalid_value: refused(400),
  invalid_request: refused(400),
  context_length_exceeded: refused(400),
  model_not_found: refused(404),
  unsupported_model: refused(400),
  // responses that are kept
  response_not_found: refused(404),
  // 400 as at OpenAI, whose clients look for this code to begin anew
  previous_response_not_found: refused(400),
  item_not_found: refused(404),
  conversation_too_long: refused(400),
  response_not_cancellable: refused(400),
  response_store_unavailable: unavailable('refused', 1),
  // exchanges that are logged, and what is said of them
  exchange_not_found: refused(404),
  completion_not_found: refused(404),
  feedback_not_found: refused(404),
  score_not_found: refused(404),
  // the caller
  invalid_api_key: refused(401),
  expired_api_key: refused(401),
  invalid_token: refused(401),
  expired_token: refused(401),
  insufficient_role: refused(403),
  key_check_unavailable: unavailable('refused', 1),
  rate_limit_exceeded: { status: 429, type: 'requests', outcome: 'refused' },
  insufficient_quota: { status: 429, type: 'insufficient_quota', outcome: 'refused' },
  // what is administered
  key_not_found: refused(404),
  project_not_found: refused(404),
  too_many_tails: refused(429),
  name_taken: refused(409),
  key_revoked: refused(409),
  project_archived: refused(409),
  database_unavailable: unavailable('failed', 1),
  query_too_slow: refused(422),
  search_off: refused(409),
  // the catalog
  model_not_in_catalog: refused(404),
  note_not_found: refused(404),
  attachment_not_found: refused(404),
  fact_is_set: refused(409),
  invalid_state: refused(409),
  model_has_versions: refused(409),
  version_live: refused(409),
  version_loaded: refused(409),
  // what is declared
  upstream_not_found: refused(404),
  model_not_declared: refused(404),
  invalid_declaration: refused(400),
  declared_in_file: refused(409),
  upstream_in_use: refused(409),
  secret_key_missing: refused(409),
  declarations_unavailable: unavailable('refused', 1),
  // the library's versions and their deployments
  version_not_found: refused(404),
  deployment_not_found: refused(404),
  not_deployed: refused(409),
  no_canary: refused(409),
  model_is_declared: refused(409),
  deployment_conflict: refused(409),
  not_enough_memory: refused(409),
  nothing_to_roll_back_to: refused(409),
  evaluation_missing: refused(409),
  canary_not_found: refused(404),
  webhook_not_found: refused(404),
  delivery_not_found: refused(404),
  deployment_failed: { status: 422, type: 'server_error', outcome: 'failed' },
  // the house
  draining: unavailable('refused', 1),
  shut_down: unavailable('failed', 1),
  overloaded: unavailable('refused', 1),
  log_full: unavailable('refused', 5),
  model_loading: unavailable('refused', 5),
  version_not_loaded: unavailable('refused', 5),
  version_unusable: unavailable('refused', 60),
  version_in_use: refused(409),
  insufficient_memory: unavailable('refused', 30),
  runtime_unreachable: unavailable('failed', 1),
  engine_lost: { status: 502, type: 'server_error', outcome: 'failed', retryAfterSeconds: 1 },
  internal_error: { status: 500, type: 'server_error', outcome: 'failed' },
  // upstreams; what they say about the request itself is told as the client's own error
  upstream_unreachable: upstream(502),
  upstream_timeout: upstream(504),
  upstream_error: upstream(502),
  upstream_malformed: upstream(502),
  upstream_rate_limited: upstream(429),
  upstream_overloaded: upstream(503),
  // never 401: it is this side's key that was refused
  upstream_auth: upstream(502),
} satisfies Record<string, ErrorKind>

export type ErrorCode = keyof typeof ERRORS

/** by status, for whoever writes a client */
export function codesByStatus(): [status: number, codes: string[]][] {
  const grouped = Map.groupBy(Object.entries(ERRORS), ([, { status }]) => status)
  return [...grouped]
    .sort(([one], [other]) => one - other)
    .map(([status, kinds]) => [status, kinds.map(([code]) => code)])
}

interface GatewayErrorOptions extends ErrorOptions {
  /** the parameter at fault, as the client wrote it: `messages[0].content` */
  param?: string
  /** instead of the code's own */
  type?: ErrorType
  retryAfterSeconds?: number
  /** further headers that tell more about it */
  headers?: Record<string, string>
}

export class GatewayError extends Error {
  override name = 'GatewayError'
  readonly code: ErrorCode
  readonly param: string | null
  readonly headers: Record<string, string>
  readonly #own: Pick<GatewayErrorOptions, 'type' | 'retryAfterSeconds'>

  constructor(code: ErrorCode, message: string, options: GatewayErrorOptions = {}) {
    super(message, { cause: options.cause })
    this.code = code
    this.param = options.param ?? null
    this.headers = options.headers ?? {}
    this.#own = options
  }

  /** Somebody's fault, and not this program's: where in the code it was found out helps nobody. */
  get isExpected(): boolean {
    return this.code !== 'internal_error'
  }

  get kind(): ErrorKind {
    const kind: ErrorKind = ERRORS[this.code]
    const { type = kind.type, retryAfterSeconds = kind.retryAfterSeconds } = this.#own
    return { ...kind, type, retryAfterSeconds }
  }

  /** what the row of the exchange says: the reason, where the client is told less than that, with what it quotes */
  get detail(): string {
    const { cause } = this
    if (!(cause instanceof Error)) return this.message
    const quote = 'quote' in cause && typeof cause.quote === 'string' ? cause.quote : null
    return quote === null ? cause.message : `${cause.message.replace(/\.$/, '')}: ${quote}`
  }

  /** what log lines say: the reason without what it quotes, since texts are kept only as their callers' policy says */
  get reason(): string {
    return this.cause instanceof Error ? this.cause.message : this.message
  }
}

const RUNTIME_CODES: Record<RuntimeErrorCode, ErrorCode> = {
  context_length_exceeded: 'context_length_exceeded',
  overloaded: 'overloaded',
  version_not_loaded: 'version_not_loaded',
  version_unusable: 'version_unusable',
  engine_lost: 'engine_lost',
  insufficient_memory: 'insufficient_memory',
  draining: 'draining',
  invalid_request: 'invalid_request',
  wrong_kind: 'unsupported_model',
  runtime_unreachable: 'runtime_unreachable',
  internal: 'internal_error',
}

const INTERNAL_MESSAGE =
  'The server had an internal error. Its log has the details under the x-request-id of this answer.'

// The runtime's own sentences may name folders and sockets; these are told instead.
const TOLD_INSTEAD: Partial<Record<ErrorCode, string>> = {
  version_not_loaded: 'The version that answers for this model is not loaded. Try again shortly.',
  version_unusable:
    "The version that answers for this model can't be served. The operator's log says why.",
  insufficient_memory:
    'There is no memory at the moment to load the version that answers for this model. Try again later.',
  engine_lost: 'The engine ended while it was answering. It restarts by itself; try again.',
  runtime_unreachable: "The runtime can't be reached at the moment. Try again shortly.",
  internal_error: INTERNAL_MESSAGE,
}

/** @param promptParam the name that the prompt has in the client's dialect */
export function fromRuntimeFailure(
  failure: RuntimeFailure,
  promptParam: string,
  cause: unknown,
): GatewayError {
  const code = RUNTIME_CODES[failure.code]
  const message = TOLD_INSTEAD[code] ?? failure.message
  if (code === 'context_length_exceeded') {
    return new GatewayError(code, message, { cause, param: promptParam })
  }
  return code === 'unsupported_model'
    ? new GatewayError(code, message, { cause, param: 'model' })
    : new GatewayError(code, message, { cause })
}

export function internalError(cause: unknown): GatewayError {
  return new GatewayError('internal_error', INTERNAL_MESSAGE, { cause })
}
