// One short answer in the dialects of upstreams, cut into what a fault can come between.

import * as anthropic from './anthropic-wire.ts'
import { chatBody, chunk, usageChunk } from './openai-wire.ts'
import { refuseWith } from './scripted-upstream.ts'
import type { Script } from './scripted-upstream.ts'

/** The answer is "Hello", in two pieces. */
export interface FaultWire {
  /** events before the first delta, as bytes */
  opening: string
  words: [string, string]
  /** all that follows the last delta */
  ending: string
  /** the ending without its last event, the one that says that it was all */
  almost: string
  /** an error in the middle of a stream */
  errorEvent: string
  /** the whole answer */
  body: string
  /** as `body`, but for the reason why it ended */
  unfinished: string
  /** a body of status 200 that says an error */
  errorBody: unknown
  refuse(status: number, headers?: Record<string, string>): Script
}

const data = (event: unknown) =>
  `data: ${typeof event === 'string' ? event : JSON.stringify(event)}\n\n`

export const COMPATIBLE: FaultWire = {
  opening: data(chunk({ role: 'assistant', content: '' })),
  words: [data(chunk({ content: 'Hel' })), data(chunk({ content: 'lo' }))],
  ending: data(chunk({}, 'stop')) + data(usageChunk()) + data('[DONE]'),
  almost: '',
  errorEvent: data({ error: { message: 'out of memory', type: 'server_error', code: 500 } }),
  body: JSON.stringify(chatBody({ content: 'Hello' })),
  unfinished: JSON.stringify(
    chatBody({}, { choices: [{ index: 0, message: { role: 'assistant', content: 'Hello' } }] }),
  ),
  errorBody: { error: { message: 'out of memory', type: 'server_error', code: 500 } },
  refuse: refuseWith,
}

type AnthropicEvent = Parameters<typeof anthropic.streamEvents>[0][number]
const named = (events: AnthropicEvent[]) =>
  events.map((event) => `event: ${event.type}\n${data(event)}`).join('')
const [blockStart, ...block] = anthropic.textBlock(0, ['Hel', 'lo']) as [
  AnthropicEvent,
  ...AnthropicEvent[],
]
const failure = anthropic.errorBody('api_error', 'out of memory')

export const ANTHROPIC: FaultWire = {
  opening: named([anthropic.start(), anthropic.ping, blockStart]),
  words: [named(block.slice(0, 1)), named(block.slice(1, 2))],
  ending: named([...block.slice(2), ...anthropic.end('end_turn')]),
  almost: named(block.slice(2)),
  errorEvent: named([failure]),
  body: JSON.stringify(anthropic.message([{ type: 'text', text: 'Hello' }])),
  unfinished: JSON.stringify({
    ...anthropic.message([{ type: 'text', text: 'Hello' }]),
    stop_reason: null,
  }),
  errorBody: failure,
  refuse: (status, headers) => (x) =>
    x.json(status, anthropic.errorBody('api_error', `status ${status}`), headers),
}
