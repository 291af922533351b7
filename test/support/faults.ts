// What can go wrong with an upstream, at every point of an exchange, and what becomes of it.
//
// Knows: what is sent, and what the gateway is to make of it. Does not know: how it is asked.

import type { FaultWire } from './fault-wire.ts'
import type { ScriptedExchange } from './scripted-upstream.ts'

/** Nothing was told yet: a status, or the fallback's turn. */
interface Refused {
  status: number
  code: string
  /** the request itself is at fault, so nobody else is asked */
  isFinal?: true
}
/** A stream that had begun: it says no more than this, and then the error. */
interface Broken {
  text: string
  code: string
}
export type Fate = Refused | Broken

export const outcomeOf = (fate: Fate) => ('isFinal' in fate ? 'refused' : 'failed')

interface Way {
  script: (x: ScriptedExchange, wire: FaultWire) => Promise<void> | void
  fate: Fate
  timeouts?: { first_token_ms?: number; stall_ms?: number; total_ms?: number }
}

interface Fault {
  streamed: Way
  whole: Way
  /** nobody listens there */
  isAway?: true
  retryAfter?: string
}

const SSE = { 'content-type': 'text/event-stream' }
const JSON_TYPE = { 'content-type': 'application/json' }

/** for what never comes; on a machine at work everything else is in time */
const SHORT_MS = 200

const unreachable: Fate = { status: 502, code: 'upstream_unreachable' }
const failed: Fate = { status: 502, code: 'upstream_error' }
const malformed: Fate = { status: 502, code: 'upstream_malformed' }
const late: Fate = { status: 504, code: 'upstream_timeout' }
const broken = (code: string, text = 'Hel'): Fate => ({ text, code })

/** The same, streamed or not. */
const both = (way: Way, more: Partial<Fault> = {}): Fault => ({
  streamed: way,
  whole: way,
  ...more,
})
const status = (status: number, fate: Fate): Fault =>
  both({ script: (x, wire) => wire.refuse(status)(x), fate })

/** Opens a stream, tells what is to be told, and stays. */
const tell = async (x: ScriptedExchange, ...bytes: string[]) => {
  x.head(200, SSE)
  for (const each of bytes) await x.write(each)
  // So that what was told arrives before what happens next.
  await x.delay(10)
}
const half = async (x: ScriptedExchange, { body }: FaultWire) => {
  x.head(200, { ...JSON_TYPE, 'content-length': `${Buffer.byteLength(body)}` })
  await x.write(body.slice(0, body.length / 2))
  await x.delay(10)
}
const cutWhole: Way = { script: (x, wire) => half(x, wire).then(() => x.cut()), fate: failed }
const garbage: Way = {
  script: (x) => x.send(200, '<html>It works!</html>', JSON_TYPE),
  fate: malformed,
}

export const FAULTS: Record<string, Fault> = {
  'a refused connection': both({ script: () => {}, fate: unreachable }, { isAway: true }),
  'a 429 with retry-after': both(
    {
      script: (x, wire) => wire.refuse(429, { 'retry-after': '7' })(x),
      fate: { status: 429, code: 'upstream_rate_limited' },
    },
    { retryAfter: '7' },
  ),
  'a 500': status(500, failed),
  'a 503': status(503, { status: 503, code: 'upstream_overloaded' }),
  'a 529': status(529, { status: 503, code: 'upstream_overloaded' }),
  'a 401 of our key': status(401, { status: 502, code: 'upstream_auth' }),
  "a 400 of the client's": status(400, { status: 400, code: 'invalid_request', isFinal: true }),
  'a 404': status(404, failed),
  'nothing before the headers': {
    streamed: { script: (x) => x.stall(), fate: late, timeouts: { first_token_ms: SHORT_MS } },
    whole: { script: (x) => x.stall(), fate: late, timeouts: { total_ms: SHORT_MS } },
  },
  'headers and no delta': {
    streamed: {
      script: (x, wire) => tell(x, wire.opening).then(() => x.stall()),
      fate: late,
      timeouts: { first_token_ms: SHORT_MS },
    },
    whole: {
      script: (x, wire) => half(x, wire).then(() => x.stall()),
      fate: late,
      timeouts: { total_ms: SHORT_MS },
    },
  },
  'a stall in the middle': {
    streamed: {
      script: (x, wire) => tell(x, wire.opening, wire.words[0]).then(() => x.stall()),
      fate: broken('upstream_timeout'),
      timeouts: { stall_ms: SHORT_MS },
    },
    whole: {
      script: (x, wire) => half(x, wire).then(() => x.stall()),
      fate: late,
      timeouts: { total_ms: SHORT_MS },
    },
  },
  'a cut before the first delta': {
    streamed: {
      script: (x, wire) => tell(x, wire.opening).then(() => x.cut()),
      fate: failed,
    },
    whole: { script: (x) => x.cut(), fate: failed },
  },
  'a cut after the first delta': {
    streamed: {
      script: (x, wire) => tell(x, wire.opening, wire.words[0]).then(() => x.cut()),
      fate: broken('upstream_error'),
    },
    whole: cutWhole,
  },
  'a cut before the end': {
    streamed: {
      script: (x, wire) => tell(x, wire.opening, ...wire.words, wire.almost).then(() => x.cut()),
      fate: broken('upstream_error', 'Hello'),
    },
    whole: cutWhole,
  },
  'an end without an ending': {
    streamed: {
      script: (x, wire) => tell(x, wire.opening, ...wire.words, wire.almost).then(() => x.end()),
      fate: broken('upstream_error', 'Hello'),
    },
    whole: { script: (x, wire) => x.send(200, wire.unfinished, JSON_TYPE), fate: failed },
  },
  'garbage from the start': {
    streamed: {
      script: (x) => tell(x, 'data: {"choices": no\n\n').then(() => x.end()),
      fate: malformed,
    },
    whole: garbage,
  },
  'garbage in the middle': {
    streamed: {
      script: (x, wire) =>
        tell(x, wire.opening, wire.words[0], 'data: {"choices": no\n\n').then(() => x.end()),
      fate: broken('upstream_malformed'),
    },
    whole: { script: (x, { body }) => x.send(200, body.slice(0, -3), JSON_TYPE), fate: malformed },
  },
  'a page where a stream should be': {
    // No event is in it: a stream that ended before it began.
    streamed: { script: (x) => x.send(200, '<html>It works!</html>'), fate: failed },
    whole: garbage,
  },
  'a half-closed connection': {
    streamed: {
      script: (x, wire) => tell(x, wire.opening, wire.words[0]).then(() => x.halfClose()),
      fate: broken('upstream_error'),
    },
    whole: { script: (x, wire) => half(x, wire).then(() => x.halfClose()), fate: failed },
  },
  'an error with status 200': {
    streamed: {
      script: (x, wire) => tell(x, wire.opening, wire.errorEvent).then(() => x.end()),
      fate: failed,
    },
    whole: { script: (x, wire) => x.json(200, wire.errorBody), fate: failed },
  },
  'an error within the answer': {
    streamed: {
      script: (x, wire) =>
        tell(x, wire.opening, wire.words[0], wire.errorEvent).then(() => x.end()),
      fate: broken('upstream_error'),
    },
    whole: { script: (x, wire) => x.json(200, wire.errorBody), fate: failed },
  },
  'an answer without an end': {
    streamed: {
      script: async (x, wire) => {
        await tell(x, wire.opening, wire.words[0])
        // What says nothing is no sign of life for a stall's clock, but the whole answer has its own.
        while (!x.request.isHungUp) await x.write(': wait\n\n').then(() => x.delay(5))
      },
      fate: broken('upstream_timeout'),
      timeouts: { total_ms: 300 },
    },
    whole: {
      script: async (x) => {
        x.head(200, JSON_TYPE)
        while (!x.request.isHungUp) await x.write(' ').then(() => x.delay(5))
      },
      fate: late,
      timeouts: { total_ms: SHORT_MS },
    },
  },
  'an empty 200': {
    streamed: { script: (x) => x.send(200, '', SSE), fate: failed },
    whole: { script: (x) => x.send(200, '', JSON_TYPE), fate: malformed },
  },
}
