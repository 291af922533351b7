// The upstream that everybody is measured in front of: it answers at once, with a chat of about a kilobyte or with a stream
// of fifty chunks, and does as little as it can.

import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'

const HEAD = { id: 'chatcmpl-1', created: 1, model: 'mock', system_fingerprint: 'fp' }
const USAGE = { prompt_tokens: 20, completion_tokens: 50, total_tokens: 70 }
const CHUNKS = 50

const frame = (body: object) => `data: ${JSON.stringify(body)}\n\n`
const chunk = (delta: object, finish: string | null = null) =>
  frame({
    ...HEAD,
    object: 'chat.completion.chunk',
    choices: [{ index: 0, delta, logprobs: null, finish_reason: finish }],
  })

const FRAMES = [
  ...Array.from({ length: CHUNKS }, (_, index) => chunk({ content: ` word${index}` })),
  chunk({}, 'stop'),
  frame({ ...HEAD, object: 'chat.completion.chunk', choices: [], usage: USAGE }),
  'data: [DONE]\n\n',
]
const WHOLE = JSON.stringify({
  ...HEAD,
  object: 'chat.completion',
  choices: [
    {
      index: 0,
      message: { role: 'assistant', content: 'word '.repeat(150), refusal: null },
      logprobs: null,
      finish_reason: 'stop',
    },
  ],
  usage: USAGE,
})

const server = createServer((request, response) => {
  const parts: Buffer[] = []
  request.on('data', (part: Buffer) => parts.push(part))
  request.on('end', () => {
    if (!Buffer.concat(parts).includes('"stream":true')) {
      response.writeHead(200, {
        'content-type': 'application/json',
        'content-length': Buffer.byteLength(WHOLE),
      })
      response.end(WHOLE)
      return
    }
    response.writeHead(200, { 'content-type': 'text/event-stream' })
    let next = 0
    // Each chunk is a write of its own, as tokens are; setImmediate lets the others have their turn.
    const write = () => {
      const text = FRAMES[next++]
      if (text === undefined || response.destroyed) return void response.end()
      response.write(text)
      setImmediate(write)
    }
    write()
  })
})
server.keepAliveTimeout = 60_000
server.listen(0, '127.0.0.1', () => {
  process.send?.({ port: (server.address() as AddressInfo).port })
})
process.on('disconnect', () => process.exit(0))
