// One request answered: from what was asked, over a backend, to bytes in the client's format.
//
// The first event with something to show is awaited before any header is sent: until then a refusal is a status, and
// from then on a failure is a frame at the end of a stream that has no `[DONE]`.
//
// Knows: backends' events, a dialect's format, the socket. Does not know: which API was called, who answers.

import { once } from 'node:events'
import type { OutgoingHttpHeaders } from 'node:http'

import type { FastifyReply, FastifyRequest } from 'fastify'

import { GatewayError, internalError } from './errors.ts'
import { findVersion } from './versions.ts'
import type { AnswerEvent, Backend } from './backends/backend.ts'
import type { AnswerFormat, AnswerIdentity, Asked, Choice } from './dialects/dialect.ts'
import type { Exchange } from './exchange.ts'
import type { Metrics } from './metrics.ts'
import type { Versions } from './versions.ts'

export interface AnswerDeps {
  backend: Backend
  versions: Versions
  metrics: Metrics
}

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
  model: string,
  formatFor: (identity: AnswerIdentity) => AnswerFormat,
  { backend, versions, metrics }: AnswerDeps,
): Promise<unknown> {
  const { exchange } = request
  if (!exchange) throw new Error('A route that answers has no exchange. This is a bug.')

  const version = await findVersion(versions, model)
  exchange.answeredBy(version.manifest.model, version.id)
  reply.header('x-headrace-version', version.id)

  const { isStreamed, includesUsage, ...chat } = asked
  const choices = chat.prompts.length * chat.choices
  const format = formatFor({
    id: exchange.id,
    created: Math.floor(exchange.startedMs / 1000),
    model,
    version: version.id,
    choices,
    includesUsage,
  })
  // Whoever left while the key or the version was looked up must not cost a slot.
  exchange.signal.throwIfAborted()
  const events = backend.complete(
    { ...chat, id: exchange.id, version: version.id },
    exchange.signal,
  )
  const pace = metrics.paceOf(version.manifest.model, version.id)
  if (isStreamed) return stream(events, format, exchange, pace, reply)
  reply.type('application/json; charset=utf-8')
  return collect(events, format, exchange, pace, choices)
}

type Pace = (secondsPerToken: number) => void

async function stream(
  events: AsyncIterable<AnswerEvent>,
  format: AnswerFormat,
  exchange: Exchange,
  pace: Pace,
  reply: FastifyReply,
): Promise<void> {
  const { raw } = reply
  let isOpen = false
  try {
    let isWhole = false
    for await (const event of events) {
      follow(event, exchange, pace)
      if (event.type === 'started') continue
      isWhole = event.type === 'done'
      let frame = frameOf(event, format)
      if (!isOpen) {
        isOpen = true
        openStream(reply)
        frame = format.opening() + frame
      }
      if (!raw.write(frame)) await once(raw, 'drain', { signal: exchange.signal })
    }
    if (!isWhole) throw endedEarly()
    raw.end()
  } catch (error) {
    if (!isOpen) throw error
    // Nobody is left to be told.
    if (exchange.signal.aborted) return
    const known = error instanceof GatewayError ? error : internalError(error)
    exchange.failed(known)
    reply.log.error(error, 'an answer broke off')
    raw.end(format.failure(known))
  }
}

async function collect(
  events: AsyncIterable<AnswerEvent>,
  format: AnswerFormat,
  exchange: Exchange,
  pace: Pace,
  choices: number,
): Promise<string> {
  const answers = Array.from({ length: choices }, (): Choice => ({
    text: '',
    finishReason: 'stop',
    logprobs: null,
  }))
  for await (const event of events) {
    follow(event, exchange, pace)
    if (event.type === 'started') continue
    if (event.type === 'done') return format.whole(answers, event.usage)
    const choice = answers[event.choice]
    if (!choice)
      throw new Error(`An event for choice ${event.choice} of ${choices}. This is a bug.`)
    if (event.type === 'finished') {
      choice.finishReason = event.finishReason
    } else {
      choice.text += event.text
      if (event.logprobs) (choice.logprobs ??= []).push(...event.logprobs)
    }
  }
  throw endedEarly()
}

/** Tells the exchange, so that its record is true whenever the socket closes. */
function follow(event: AnswerEvent, exchange: Exchange, pace: Pace) {
  switch (event.type) {
    case 'started':
      return exchange.promptStarted(event.promptTokens, event.cachedTokens, event.queueMs)
    case 'delta': {
      const gapMs = exchange.produced(event.choice, event.text, event.tokens)
      if (gapMs !== null && event.tokens > 0) pace(gapMs / 1000 / event.tokens)
      return
    }
    case 'finished':
      return exchange.finished(event.choice, event.finishReason)
    case 'done':
      return exchange.settled(event.usage, event.timings)
  }
}

function frameOf(event: Exclude<AnswerEvent, { type: 'started' }>, format: AnswerFormat): string {
  switch (event.type) {
    case 'delta':
      return format.delta(event.choice, event.text, event.logprobs)
    case 'finished':
      return format.finish(event.choice, event.finishReason)
    case 'done':
      return format.ending(event.usage)
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
