// One short answer in the dialects of upstreams, cut into what a fault can come between.

import * as anthropic from './anthropic-wire.ts'
import * as gemini from './gemini-wire.ts'
import { chatBody, chunk, usageChunk } from './openai-wire.ts'
import { refuseWith } from './scripted-upstream.ts'
import type { ReceivedRequest, Script } from './scripted-upstream.ts'

/** The answer is "Hello", in two pieces. */
export interface FaultWire {
  /** of its base address */
  path: string
  /** the model that a request asks for */
  modelOf(request: ReceivedRequest): string
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

const inBody = ({ json }: ReceivedRequest): string => json.model

export const COMPATIBLE: FaultWire = {
  path: '/v1',
  modelOf: inBody,
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
  path: '',
  modelOf: inBody,
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

/** https://cloud.google.com/apis/design/errors: the names that belong to HTTP's codes */
const STATUSES: Record<number, string> = {
  400: 'INVALID_ARGUMENT',
  401: 'UNAUTHENTICATED',
  404: 'NOT_FOUND',
  429: 'RESOURCE_EXHAUSTED',
  500: 'INTERNAL',
  503: 'UNAVAILABLE',
}

const crlf = (event: unknown) => `data: ${JSON.stringify(event)}\r\n\r\n`
const outOfMemory = gemini.errorBody(500, 'INTERNAL', 'out of memory')
const candidate = gemini.chunk([{ text: 'Hello' }])

export const GEMINI: FaultWire = {
  path: '/v1beta',
  modelOf: ({ path }) => /\/models\/([^:]+):/.exec(path)?.[1] ?? '',
  opening: crlf(gemini.chunk([{ text: '' }])),
  words: [crlf(gemini.chunk([{ text: 'Hel' }])), crlf(gemini.chunk([{ text: 'lo' }]))],
  ending: crlf(gemini.end()),
  almost: '',
  errorEvent: crlf(outOfMemory),
  body: JSON.stringify(gemini.end('STOP', [{ text: 'Hello' }])),
  unfinished: JSON.stringify(candidate),
  errorBody: outOfMemory,
  refuse: (status, headers) => (x) =>
    x.json(
      status,
      gemini.errorBody(status, STATUSES[status] ?? 'UNKNOWN', `status ${status}`),
      headers,
    ),
}
