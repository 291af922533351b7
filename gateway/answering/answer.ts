// One request answered: from what was asked, over a route, to bytes in the client's format.
//
// The first event with something to show is awaited before any header is sent: until then a refusal is a status, and
// from then on a failure is a frame at the end of a stream that has no ending.
//
// Knows: routed events, a dialect's format, the socket. Does not know: which API was called, who answers.

import { once } from 'node:events'
import type { OutgoingHttpHeaders } from 'node:http'

import type { FastifyReply, FastifyRequest } from 'fastify'

import { mayAsk } from '../callers/caller.ts'
import { GatewayError, internalError } from '../errors.ts'
import { estimatePrompt, needOf } from '../limits/estimate.ts'
import { lookUp } from './look-up.ts'
import { reserve } from './reserve.ts'
import { chosenFor } from '../routing/chosen-for.ts'
import { findRoute } from '../routing/find-route.ts'
import { requireKind } from '../routing/model-kind.ts'
import { PULSE_MS, Pulse } from './pulse.ts'
import { stickyKeyOf } from './sticky-key.ts'
import { targetHeaders } from './target-headers.ts'
import { addToChoice, emptyChoice } from '../dialects/whole-choice.ts'
import type { AnswerEvent, Question } from '../backends/backend.ts'
import type { AnswerFormat, AnswerIdentity, Asked, PromptCount } from '../dialects/dialect.ts'
import { hasLeft } from '../exchange/exchange.ts'
import type { Exchange } from '../exchange/exchange.ts'
import type { ShadowCopies } from '../canary/shadow/shadow-copies.ts'
import type { ResponseCache } from '../cache/response-cache.ts'
import type { Limits } from '../limits/limits.ts'
import type { Metrics } from '../metrics/metrics.ts'
import type { Route, RoutedEvent, Routes, Target } from '../routing/route.ts'
import type { Router } from '../routing/router.ts'

export interface AnswerDeps {
  router: Pick<Router, 'answer'>
  routes: Routes
  metrics: Metrics
  limits: Pick<Limits, 'admit'>
  cache: Pick<ResponseCache, 'lookup'>
  /** absent: nothing is copied */
  shadows?: Pick<ShadowCopies, 'offer'>
  /** of the signs of life on streams; absent: the usual ones */
  pulseMs?: number
}

/** A body that doesn't say how long it is counts as one that leaves room for some others. */
const MOST_SHADOWED_BYTES = 1024 * 1024

const STREAM_HEADERS = {
  'content-type': 'text/event-stream; charset=utf-8',
  'cache-control': 'no-cache',
  // nginx would otherwise collect the frames of a stream
  'x-accel-buffering': 'no',
}

export async function answer(
  request: FastifyRequest,
  reply: FastifyReply,
  asked: Asked,
  formatFor: (identity: AnswerIdentity) => AnswerFormat,
  deps: AnswerDeps,
): Promise<unknown> {
  const { exchange, caller } = request
  if (!exchange || !caller) throw new Error('A route that answers knows no caller. This is a bug.')

  const found = await findRoute(deps.routes, asked.model, (model) => mayAsk(caller, model))
  requireKind(found, 'generate')
  const question: Question = { ...asked.question, id: exchange.id, isStreamed: asked.isStreamed }
  const stickyKey = stickyKeyOf(request, found, question)
  const route = chosenFor(found, stickyKey)
  const looked = await lookUp(request, reply, { route, question }, deps.cache)
  if (asked.isStored) exchange.stored()
  const need = { ...needOf(question, route), isKept: looked.hit !== null }
  await reserve(request, reply, deps.limits, need)
  // Whoever left while the key, the route or the limits were looked up must not cost a slot.
  exchange.signal.throwIfAborted()
  exchange.promptEstimated(() => estimatePrompt(question))
  const ask = () =>
    deps.router.answer(route, question, {
      signal: exchange.signal,
      stickyKey,
      onAsk: (target) => exchange.asking(route.model, target),
      onAttempt: (attempt) => exchange.attempted(attempt),
    })
  const { shadow } = route
  if (shadow && deps.shadows && !looked.hit) {
    const { shadows } = deps
    const bytes = Number(request.headers['content-length'] ?? MOST_SHADOWED_BYTES)
    exchange.whenCompleted((record) =>
      shadows.offer({ ...shadow, question, bytes, record, bodies: exchange.bodies }),
    )
  }
  const events = looked.hit?.events ?? looked.record(ask())
  const { model, isStreamed, includesUsage } = asked
  const choices = choicesOf(question)
  const telling = {
    exchange,
    reply,
    route,
    metrics: deps.metrics,
    pulseMs: deps.pulseMs ?? PULSE_MS,
    estimatePrompt: () => estimatePrompt(question),
  }
  const teller = new Teller(events, telling, (version) =>
    formatFor({
      id: exchange.id,
      created: Math.floor(exchange.startedMs / 1000),
      model,
      version,
      choices,
      includesUsage,
    }),
  )
  if (isStreamed) return teller.stream()
  reply.type('application/json; charset=utf-8')
  return teller.collect(choices)
}

function choicesOf(question: Question): number {
  return question.kind === 'chat' ? question.choices : question.choices * question.prompts.length
}

interface Telling {
  exchange: Exchange
  reply: FastifyReply
  route: Route
  metrics: Metrics
  pulseMs: number
  estimatePrompt: () => number
}

/** Tells an answer to the client, and what it says to the exchange, so that its record is true whenever the socket closes. */
class Teller {
  readonly #events: AsyncIterable<RoutedEvent>
  readonly #telling: Telling
  readonly #formatFor: (version: string) => AnswerFormat
  #format: AnswerFormat | null = null
  #pace: (secondsPerToken: number) => void = () => {}
  #prompt: PromptCount | null = null

  constructor(
    events: AsyncIterable<RoutedEvent>,
    telling: Telling,
    formatFor: (version: string) => AnswerFormat,
  ) {
    this.#events = events
    this.#telling = telling
    this.#formatFor = formatFor
  }

  async stream(): Promise<void> {
    const { exchange, reply, pulseMs } = this.#telling
    const { raw } = reply
    let pulse: Pulse | null = null
    let ending: string | null = null
    try {
      for await (const event of this.#events) {
        this.#follow(event)
        if (event.type === 'started' || event.type === 'routed') continue
        const format = this.#known()
        let frame = ''
        if (event.type === 'done') ending = await format.ending(event.usage)
        else frame = frameOf(event, format)
        if (!pulse) {
          openStream(reply)
          frame = format.opening(() => this.#countPrompt()) + frame
          pulse = new Pulse(raw, format.ping, pulseMs)
        }
        if (frame === '') continue
        pulse.beat()
        if (!raw.write(frame)) await once(raw, 'drain', { signal: exchange.signal })
      }
      if (ending === null) throw endedEarly()
      const last = ending
      exchange.close(raw.statusCode, true, () => raw.end(last))
    } catch (error) {
      if (!pulse) throw error
      // Nobody is left to be told.
      if (hasLeft(exchange)) return
      const known = error instanceof GatewayError ? error : internalError(error)
      exchange.failed(known)
      reply.log.error({ err: error, ...exchange.target }, 'an answer broke off')
      const last = this.#known().failure(known)
      exchange.close(raw.statusCode, true, () => raw.end(last))
    } finally {
      pulse?.stop()
    }
  }

  async collect(choices: number): Promise<string> {
    const answers = Array.from({ length: choices }, emptyChoice)
    for await (const event of this.#events) {
      this.#follow(event)
      if (event.type === 'started' || event.type === 'routed') continue
      if (event.type === 'done') return this.#known().whole(answers, event.usage)
      const choice = answers[event.choice]
      if (!choice) {
        throw new Error(`An event for choice ${event.choice} of ${choices}. This is a bug.`)
      }
      addToChoice(event, choice)
    }
    throw endedEarly()
  }

  #follow(event: RoutedEvent) {
    const { exchange } = this.#telling
    switch (event.type) {
      case 'routed':
        return this.#routed(event.target)
      case 'started':
        // The newest: one that was asked before has failed.
        if (!this.#format) this.#prompt = event
        return exchange.promptStarted(event.promptTokens, event.cachedTokens, event.queueMs)
      case 'delta': {
        const gapMs = exchange.produced(event.choice, event.text, event.tokens)
        if (gapMs !== null && event.tokens) this.#pace(gapMs / 1000 / event.tokens)
        return
      }
      case 'refusal':
        exchange.declined()
        exchange.produced(event.choice, event.text, null)
        return
      case 'reasoning':
        exchange.produced(event.choice, '', null)
        return
      case 'toolCall':
        return exchange.called(event.choice, event.index, event.id, event.name)
      case 'toolArguments':
        return exchange.argued(event.choice, event.index, event.text)
      case 'finished':
        return exchange.finished(event.choice, event.finishReason)
      case 'done':
        return exchange.settled(event.usage, event.timings)
    }
  }

  /** Somebody answers: what the headers say is settled. */
  #routed(target: Target) {
    const { exchange, reply, route, metrics } = this.#telling
    reply.headers({
      ...targetHeaders(target, exchange.attempts.length),
      'x-headrace-overhead-ms': exchange.began().toFixed(1),
    })
    this.#format = this.#formatFor(target.version)
    this.#pace = metrics.paceOf(route.model, target.version)
  }

  /** As who answers has counted it, where that was told before anything else. */
  #countPrompt(): PromptCount {
    const { estimatePrompt } = this.#telling
    return this.#prompt ?? { promptTokens: estimatePrompt(), cachedTokens: 0 }
  }

  #known(): AnswerFormat {
    if (!this.#format) throw new Error('An answer came from nobody. This is a bug.')
    return this.#format
  }
}

function frameOf(
  event: Exclude<AnswerEvent, { type: 'started' | 'done' }>,
  format: AnswerFormat,
): string {
  switch (event.type) {
    case 'delta':
      return format.delta(event.choice, event.text, event.logprobs)
    case 'reasoning':
      return format.reasoning(event.choice, event.text, event.signature)
    case 'refusal':
      return format.refusal(event.choice, event.text)
    case 'toolCall':
      return format.toolCall(event.choice, event.index, event.id, event.name)
    case 'toolArguments':
      return format.toolArguments(event.choice, event.index, event.text)
    case 'finished':
      return format.finish(event.choice, event.finishReason, event.stopSequence)
  }
}

/** From here on the socket is written directly: Fastify's own streams would cost an object and a copy a frame. */
function openStream(reply: FastifyReply) {
  reply.hijack()
  reply.raw.writeHead(200, { ...(reply.getHeaders() as OutgoingHttpHeaders), ...STREAM_HEADERS })
}

function endedEarly(): GatewayError {
  return internalError(new Error('An answer ended without its figures. This is a bug.'))
}
