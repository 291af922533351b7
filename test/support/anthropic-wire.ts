// Answers and events as Anthropic's own servers write them, for scripted upstreams.

import type { Script, ScriptedExchange } from './scripted-upstream.ts'

interface WireEvent {
  type: string
  [field: string]: unknown
}

export const USAGE = {
  input_tokens: 10,
  cache_creation_input_tokens: 20,
  cache_read_input_tokens: 30,
  output_tokens: 1,
  service_tier: 'standard',
}

export const start = (usage: object = USAGE): WireEvent => ({
  type: 'message_start',
  message: {
    id: 'msg_1',
    type: 'message',
    role: 'assistant',
    model: 'claude',
    content: [],
    stop_reason: null,
    stop_sequence: null,
    usage,
  },
})

export const ping: WireEvent = { type: 'ping' }

export const blockStart = (index: number, block: object): WireEvent => ({
  type: 'content_block_start',
  index,
  content_block: block,
})

const blockDelta = (index: number, delta: object): WireEvent => ({
  type: 'content_block_delta',
  index,
  delta,
})

export const blockStop = (index: number): WireEvent => ({ type: 'content_block_stop', index })

export const textBlock = (index: number, words: string[]): WireEvent[] => [
  blockStart(index, { type: 'text', text: '' }),
  ...words.map((text) => blockDelta(index, { type: 'text_delta', text })),
  blockStop(index),
]

export const toolBlock = (
  index: number,
  id: string,
  name: string,
  pieces: string[],
): WireEvent[] => [
  blockStart(index, { type: 'tool_use', id, name, input: {} }),
  blockDelta(index, { type: 'input_json_delta', partial_json: '' }),
  ...pieces.map((json) => blockDelta(index, { type: 'input_json_delta', partial_json: json })),
  blockStop(index),
]

export const thinkingBlock = (index: number, words: string[], signature: string): WireEvent[] => [
  blockStart(index, { type: 'thinking', thinking: '', signature: '' }),
  ...words.map((thinking) => blockDelta(index, { type: 'thinking_delta', thinking })),
  blockDelta(index, { type: 'signature_delta', signature }),
  blockStop(index),
]

export const end = (reason: string, outputTokens = 4, more: object = {}): WireEvent[] => [
  {
    type: 'message_delta',
    delta: { stop_reason: reason, stop_sequence: null, ...more },
    usage: { output_tokens: outputTokens },
  },
  { type: 'message_stop' },
]

export const message = (content: object[], reason = 'end_turn', more: object = {}) => ({
  id: 'msg_1',
  type: 'message',
  role: 'assistant',
  model: 'claude',
  content,
  stop_reason: reason,
  stop_sequence: null,
  usage: { ...USAGE, output_tokens: 4 },
  ...more,
})

/** Events, named as Anthropic names them. */
export const streamEvents =
  (events: WireEvent[]): Script =>
  async (exchange) => {
    await writeEvents(exchange, events)
    await exchange.end()
  }

export async function writeEvents(exchange: ScriptedExchange, events: WireEvent[]): Promise<void> {
  exchange.head(200, { 'content-type': 'text/event-stream; charset=utf-8' })
  for (const event of events) {
    await exchange.write(`event: ${event.type}\ndata: ${JSON.stringify(event)}\n\n`)
  }
}

/** Answers as a well-behaved server would, streamed or not, as it is asked. */
export const answerMessage =
  (words: string[]): Script =>
  async (exchange) => {
    if (!exchange.request.json?.stream) {
      return exchange.json(200, message([{ type: 'text', text: words.join('') }]))
    }
    await streamEvents([start(), ping, ...textBlock(0, words), ...end('end_turn')])(exchange)
  }

export const errorBody = (type: string, text: string) => ({
  type: 'error',
  error: { type, message: text },
  request_id: 'req_1',
})
