// Clients that ask again and again, and write down what they saw of each answer.
//
// Knows: HTTP as a client has it. Does not know: what should have come.

import { setTimeout as sleep } from 'node:timers/promises'

export interface Ask {
  /** what the tables call it */
  name: string
  path: string
  key: string
  body: Record<string, unknown>
  /** leaves after so long, whatever has come by then */
  hangUpMs?: number
}

/** What a client saw of one request. */
export interface Seen {
  ask: Ask
  /** of the answer's header; null where none came */
  id: string | null
  status: number | null
  /** of a refusal, or of the error that a stream ends with */
  code: string | null
  /** the answer was read to its end */
  isEnded: boolean
  /** it ended as answers of its kind do: a stream with its last event */
  isWhole: boolean
  /** of performance.now() */
  startMs: number
  endMs: number
}

export interface LoadOptions {
  clients: number
  /** between an answer and the next question, on average */
  pauseMs: number
  /** @param client from 0 */
  origin(client: number): string
  ask(client: number): Ask
  seen(seen: Seen): void
}

export interface Load {
  /** Resolves when the last answer has come. */
  stop(): Promise<void>
}

const PATIENCE_MS = 60_000
/** the last event of a stream, by dialect */
const LAST_EVENTS = ['data: [DONE]', 'event: message_stop', '"type":"response.completed"']

export function startLoad({ clients, pauseMs, origin, ask, seen }: LoadOptions): Load {
  const stopping = new AbortController()
  const run = async (client: number) => {
    while (!stopping.signal.aborted) {
      seen(await send(origin(client), ask(client)))
      // Never all at once, and never in step with anything.
      const waitMs = pauseMs * 2 * Math.random()
      await sleep(waitMs, undefined, { signal: stopping.signal }).catch(() => {})
    }
  }
  const running = Promise.all(Array.from({ length: clients }, (_, client) => run(client)))
  return {
    async stop() {
      stopping.abort()
      await running
    },
  }
}

/** Never throws: a connection that breaks is something that was seen. */
export async function send(origin: string, ask: Ask): Promise<Seen> {
  const startMs = performance.now()
  const seen: Seen = {
    ask,
    id: null,
    status: null,
    code: null,
    isEnded: false,
    isWhole: false,
    startMs,
    endMs: startMs,
  }
  try {
    const response = await fetch(origin + ask.path, {
      method: 'POST',
      headers: { authorization: `Bearer ${ask.key}`, 'content-type': 'application/json' },
      body: JSON.stringify(ask.body),
      signal: AbortSignal.timeout(ask.hangUpMs ?? PATIENCE_MS),
    })
    seen.id = response.headers.get('x-request-id')
    seen.status = response.status
    const text = await response.text()
    seen.isEnded = true
    seen.isWhole = response.status === 200 && isWhole(text, ask.body['stream'] === true)
    if (response.status !== 200) seen.code = codeOf(text)
    else if (!seen.isWhole) seen.code = codeOfStream(text)
  } catch {
    // What came until then is what was seen.
  }
  seen.endMs = performance.now()
  return seen
}

function isWhole(text: string, isStreamed: boolean): boolean {
  if (!isStreamed) return text.trimEnd().endsWith('}')
  return LAST_EVENTS.some((event) => text.slice(-4_000).includes(event))
}

function codeOf(text: string): string {
  try {
    const { error } = JSON.parse(text) as { error?: { code?: string; type?: string } }
    return error?.code ?? error?.type ?? 'none'
  } catch {
    return 'none'
  }
}

/** null where it just stops */
function codeOfStream(text: string): string | null {
  const frame = text.split('\n').findLast((line) => line.startsWith('data: {"error"'))
  return frame === undefined ? null : codeOf(frame.slice('data: '.length))
}

const MESSAGES = [{ role: 'user', content: 'What do you promise?' }]

export const chat = (key: string, isStreamed: boolean, model = 'steady'): Ask => ({
  name: isStreamed ? 'chat, streamed' : 'chat',
  path: '/v1/chat/completions',
  key,
  body: { model, messages: MESSAGES, max_tokens: 100, stream: isStreamed },
})
