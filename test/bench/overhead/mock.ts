// The upstream that everybody is put in front of: it answers at once, whole or as a stream, and does nothing else.
//
// Each chunk of a stream is a write of its own in a turn of its own, as tokens arrive; written at once they would be one
// packet, and a gateway would have one piece of work instead of fifty.

import { createServer } from 'node:http'
import { once } from 'node:events'
import type { AddressInfo } from 'node:net'
import type { ServerResponse } from 'node:http'

import { answerParent } from '../worker.ts'
import { FRAMES, WHOLE_ANSWER } from './wire.ts'

const WHOLE = Buffer.from(WHOLE_ANSWER)
const STREAM = FRAMES.map((frame) => Buffer.from(frame))
const WHOLE_HEADERS = { 'content-type': 'application/json', 'content-length': WHOLE.length }
const STREAM_HEADERS = { 'content-type': 'text/event-stream', 'cache-control': 'no-cache' }

/** @returns the port */
answerParent(async (): Promise<number> => {
  const server = createServer({ keepAliveTimeout: 600_000 }, (request, response) => {
    const chunks: Buffer[] = []
    request.on('data', (chunk: Buffer) => chunks.push(chunk))
    request.on('end', () => {
      if (!Buffer.concat(chunks).includes('"stream":true')) {
        response.writeHead(200, WHOLE_HEADERS)
        response.end(WHOLE)
        return
      }
      response.writeHead(200, STREAM_HEADERS)
      writeFrom(0, response)
    })
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  return (server.address() as AddressInfo).port
})

function writeFrom(at: number, response: ServerResponse) {
  if (response.destroyed) return
  if (at === STREAM.length) {
    response.end()
    return
  }
  const next = () => setImmediate(writeFrom, at + 1, response)
  if (response.write(STREAM[at])) next()
  else response.once('drain', next)
}
