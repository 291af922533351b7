// Traces by OpenTelemetry, sent as OTLP over HTTP.
//
// Names and attributes are those of OpenTelemetry's semantic conventions for HTTP servers and for generative AI
// (https://opentelemetry.io/docs/specs/semconv/gen-ai/gen-ai-spans/); what they have no word for begins with `headrace.`.
// Texts and names of people are in no span: they are the exchange log's, which knows who may read them.
//
// Knows: OpenTelemetry, and nobody else does. Does not know: Fastify, settings.

import {
  defaultTextMapGetter,
  ROOT_CONTEXT,
  SpanKind,
  SpanStatusCode,
  trace,
} from '@opentelemetry/api'
import type { Attributes, Context, Span, Tracer } from '@opentelemetry/api'
import { setGlobalErrorHandler, W3CTraceContextPropagator } from '@opentelemetry/core'
import { OTLPTraceExporter } from '@opentelemetry/exporter-trace-otlp-http'
import { resourceFromAttributes } from '@opentelemetry/resources'
import {
  BatchSpanProcessor,
  ParentBasedSampler,
  TraceIdRatioBasedSampler,
  TracerProvider,
} from '@opentelemetry/sdk-trace'

import { firstTokenMsOf } from '../exchange/first-token.ts'
import type { ExchangeRecord } from '../exchange/exchange-record.ts'
import type { Logger } from '../logger.ts'
import type { Attempt, Target } from '../routing/route.ts'
import type { RequestTrace, TracedRequest, Traces } from './traces.ts'

export interface TracesOptions {
  /** of the collector, without `/v1/traces` */
  endpoint: string
  /** what the collector asks for */
  headers: Record<string, string>
  serviceName: string
  release: string
  /** of requests whose client has no trace, in [0, 1]; others are as sampled as their client's trace */
  share: number
  logger: Pick<Logger, 'warn'>
}

const LOCAL = 'local'
const PROVIDER = 'headrace'
/** of one delivery, with its retries */
const SEND_MS = 2_500
const CLOSE_MS = 3_000
/** between two lines about a collector that is away */
const COMPLAINT_MS = 60_000

/** What is asked for, by the convention's names; a route without one here is passed on as it is. */
const OPERATIONS: Record<string, string> = {
  '/v1/chat/completions': 'chat',
  '/v1/messages': 'chat',
  '/v1/responses': 'chat',
  '/v1/completions': 'text_completion',
  '/v1/embeddings': 'embeddings',
}

const propagator = new W3CTraceContextPropagator()
const setter = {
  set: (carrier: unknown, name: string, value: string) => {
    ;(carrier as Record<string, string>)[name] = value
  },
}

export class OpenTelemetry implements Traces {
  readonly #provider: TracerProvider
  readonly #tracer: Tracer
  readonly #logger: TracesOptions['logger']
  #complainedMs = -Infinity

  constructor({ endpoint, headers, serviceName, release, share, logger }: TracesOptions) {
    this.#logger = logger
    setGlobalErrorHandler(this.#complain)
    const url = `${endpoint.replace(/\/+$/, '')}/v1/traces`
    this.#provider = new TracerProvider({
      resource: resourceFromAttributes({ 'service.name': serviceName, 'service.version': release }),
      sampler: new ParentBasedSampler({ root: new TraceIdRatioBasedSampler(share) }),
      spanProcessors: [
        new BatchSpanProcessor({
          exporter: new OTLPTraceExporter({ url, headers, timeoutMillis: SEND_MS }),
        }),
      ],
    })
    this.#tracer = this.#provider.getTracer('headrace', release)
  }

  begin({ method, route, headers, startedMs }: TracedRequest): RequestTrace {
    const parent = propagator.extract(ROOT_CONTEXT, headers, defaultTextMapGetter)
    const span = this.#tracer.startSpan(
      `${method} ${route}`,
      {
        kind: SpanKind.SERVER,
        startTime: startedMs,
        attributes: { 'http.request.method': method, 'http.route': route },
      },
      parent,
    )
    return new OpenTelemetryRequest(this.#tracer, span, trace.setSpan(parent, span), route)
  }

  async close(): Promise<void> {
    const late = new Promise<void>((resolve) => setTimeout(resolve, CLOSE_MS).unref())
    // A collector that is away must not keep a server from ending.
    await Promise.race([this.#provider.shutdown().catch(this.#complain), late])
  }

  readonly #complain = (error: unknown) => {
    if (performance.now() - this.#complainedMs < COMPLAINT_MS) return
    this.#complainedMs = performance.now()
    this.#logger.warn(
      { err: error },
      'traces could not be sent; they are lost, and nothing else is',
    )
  }
}

interface Asked {
  span: Span
  within: Context
  target: Target
  startedMs: number
}

class OpenTelemetryRequest implements RequestTrace {
  readonly #tracer: Tracer
  readonly #span: Span
  readonly #within: Context
  readonly #operation: string
  /** the target that is being asked, or answers */
  #asked: Asked | null = null

  constructor(tracer: Tracer, span: Span, within: Context, route: string) {
    this.#tracer = tracer
    this.#span = span
    this.#within = within
    this.#operation = OPERATIONS[route] ?? 'pass_through'
  }

  asking(model: string, target: Target, atMs: number): Record<string, string> {
    const { version, upstream, asks } = target
    const span = this.#tracer.startSpan(
      `${this.#operation} ${model}`,
      {
        kind: SpanKind.CLIENT,
        startTime: atMs,
        attributes: {
          'gen_ai.operation.name': this.#operation,
          'gen_ai.provider.name': upstream === LOCAL ? PROVIDER : upstream,
          'gen_ai.request.model': asks,
          'headrace.model': model,
          'headrace.version': version,
        },
      },
      this.#within,
    )
    const within = trace.setSpan(this.#within, span)
    this.#asked = { span, within, target, startedMs: atMs }
    const headers: Record<string, string> = {}
    propagator.inject(within, headers, setter)
    return headers
  }

  attempted({ error, ms }: Attempt): void {
    if (error === null || !this.#asked) return
    const { span, startedMs } = this.#asked
    fail(span, error)
    span.end(startedMs + ms)
    this.#asked = null
  }

  closed(record: ExchangeRecord): void {
    const endedMs = record.closedAt.getTime()
    if (this.#asked) this.#answered(this.#asked, record, endedMs)
    this.#span.setAttributes({
      'http.response.status_code': record.status,
      'headrace.exchange.id': record.id,
      'headrace.outcome': record.outcome,
      'headrace.attempts': record.attempts.length,
      ...known({
        'headrace.model': record.model,
        'headrace.version': record.version,
        'headrace.cache': record.cache,
        'headrace.overhead_ms': record.overheadMs,
      }),
    })
    if (record.outcome === 'failed') fail(this.#span, record.errorCode ?? 'unknown')
    // What was refused is the client's matter: a server's span has a status of its own where the server failed.
    else if (record.errorCode !== null) this.#span.setAttribute('error.type', record.errorCode)
    else if (record.outcome === 'cancelled') this.#span.setAttribute('error.type', 'cancelled')
    this.#span.end(endedMs)
  }

  #answered({ span, within, startedMs }: Asked, record: ExchangeRecord, endedMs: number): void {
    span.setAttributes(
      known({
        'gen_ai.response.model': record.version,
        'gen_ai.response.id': record.id,
        'gen_ai.response.finish_reasons': record.finishReasons,
        'gen_ai.usage.input_tokens': record.promptTokens,
        'gen_ai.usage.output_tokens': record.completionTokens,
        'gen_ai.usage.cache_read.input_tokens': record.cachedTokens,
      }),
    )
    const { queueMs, prefillMs, decodeMs } = record
    const firstTokenMs = firstTokenMsOf(record)
    if (firstTokenMs !== null) {
      span.addEvent('headrace.first_token', record.startedAt.getTime() + firstTokenMs)
    }
    // An engine says how long each took, one behind the other.
    let atMs = startedMs
    for (const [name, ms] of [
      ['queue', queueMs],
      ['prefill', prefillMs],
      ['decode', decodeMs],
    ] as const) {
      if (ms === null) continue
      const part = this.#tracer.startSpan(name, { startTime: atMs }, within)
      atMs += ms
      part.end(atMs)
    }
    if (record.errorCode !== null) fail(span, record.errorCode)
    span.end(endedMs)
  }
}

/** Codes are the gateway's own; what was said in words may hold a client's text. */
function fail(span: Span, code: string): void {
  span.setAttribute('error.type', code)
  span.setStatus({ code: SpanStatusCode.ERROR, message: code })
}

function known(attributes: Record<string, string | number | string[] | null>): Attributes {
  return Object.fromEntries(
    Object.entries(attributes).filter(
      (entry): entry is [string, string | number | string[]] => entry[1] !== null,
    ),
  )
}
