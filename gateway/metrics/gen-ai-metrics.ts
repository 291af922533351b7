// The same exchanges under OpenTelemetry's names, for dashboards that know no others.
//
// Names, attributes and bounds are those of the semantic conventions for generative AI, written as Prometheus writes them:
// dots become underscores, the unit comes last. `gen_ai.response.model`, which is only recommended, would be the version
// and treble the series: versions are told apart by the `headrace_` names.
//
// Knows: records. Does not know: our own metrics.

import { Histogram } from 'prom-client'
import type { Registry } from 'prom-client'

import { firstTokenMsOf } from '../exchange/first-token.ts'
import type { ExchangeRecord } from '../exchange/exchange-record.ts'

const DURATION_BUCKETS = [
  0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.28, 2.56, 5.12, 10.24, 20.48, 40.96, 81.92,
]
const FIRST_TOKEN_BUCKETS = [
  0.001, 0.005, 0.01, 0.02, 0.04, 0.06, 0.08, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10,
]
const PACE_BUCKETS = [0.01, 0.025, 0.05, 0.075, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.75, 1, 2.5]
const TOKEN_BUCKETS = [
  1, 4, 16, 64, 256, 1024, 4096, 16384, 65536, 262144, 1048576, 4194304, 16777216, 67108864,
]

const LABELS = ['gen_ai_operation_name', 'gen_ai_provider_name', 'gen_ai_request_model'] as const

/** `gen_ai.operation.name` by the route's path; others are no such operation */
const OPERATIONS: Readonly<Record<string, string>> = {
  '/v1/chat/completions': 'chat',
  '/v1/messages': 'chat',
  '/v1/responses': 'chat',
  '/v1/completions': 'text_completion',
  '/v1/embeddings': 'embeddings',
}

export class GenAiMetrics {
  readonly #duration
  readonly #firstToken
  readonly #pace
  readonly #tokens

  constructor(registers: Registry[]) {
    this.#duration = new Histogram({
      name: 'gen_ai_server_request_duration_seconds',
      help: 'Generative AI server request duration such as time-to-last byte or last output token.',
      labelNames: [...LABELS, 'error_type'],
      buckets: DURATION_BUCKETS,
      registers,
    })
    this.#firstToken = new Histogram({
      name: 'gen_ai_server_time_to_first_token_seconds',
      help: 'Time to generate first token for successful responses.',
      labelNames: LABELS,
      buckets: FIRST_TOKEN_BUCKETS,
      registers,
    })
    this.#pace = new Histogram({
      name: 'gen_ai_server_time_per_output_token_seconds',
      help: 'Time per output token generated after the first token for successful responses.',
      labelNames: LABELS,
      buckets: PACE_BUCKETS,
      registers,
    })
    this.#tokens = new Histogram({
      name: 'gen_ai_client_token_usage',
      help: 'Number of input and output tokens used.',
      labelNames: [...LABELS, 'gen_ai_token_type'],
      buckets: TOKEN_BUCKETS,
      registers,
    })
  }

  /** @param model with room among the labels @param code likewise */
  closed(record: ExchangeRecord, model: string, code: string) {
    const operation = OPERATIONS[record.route]
    // Nobody was asked: there is no operation of a model to speak of.
    if (operation === undefined || model === '') return
    const { upstream, outcome, interTokenMs } = record
    const labels = {
      gen_ai_operation_name: operation,
      gen_ai_provider_name: upstream === null || upstream === 'local' ? 'headrace' : upstream,
      gen_ai_request_model: model,
    }
    const ended = code === '' ? labels : { ...labels, error_type: code }
    this.#duration.observe(ended, record.totalMs / 1000)
    for (const [type, tokens] of [
      ['input', record.promptTokens],
      ['output', record.completionTokens],
    ] as const) {
      if (tokens) this.#tokens.observe({ ...labels, gen_ai_token_type: type }, tokens)
    }
    if (outcome !== 'completed') return
    const firstTokenMs = firstTokenMsOf(record)
    if (firstTokenMs !== null) this.#firstToken.observe(labels, firstTokenMs / 1000)
    if (interTokenMs !== null) this.#pace.observe(labels, interTokenMs / 1000)
  }
}
