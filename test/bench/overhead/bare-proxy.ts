// The least that a gateway in this language can be: Fastify in front, undici behind, bodies passed on as they are.

import { Readable } from 'node:stream'
import type { AddressInfo } from 'node:net'

import fastify from 'fastify'
import { Pool } from 'undici'

import { answerParent } from '../worker.ts'

export interface BareProxyAsk {
  upstream: string
}

/** @returns the address it listens at */
answerParent(async ({ upstream }: BareProxyAsk): Promise<string> => {
  const pool = new Pool(upstream, { connections: 512, pipelining: 1 })
  const app = fastify()
  app.removeAllContentTypeParsers()
  app.addContentTypeParser('*', { parseAs: 'buffer' }, (_request, body, done) => done(null, body))
  app.post('/*', async (request, reply) => {
    const { statusCode, headers, body } = await pool.request({
      method: 'POST',
      path: request.url,
      headers: { 'content-type': 'application/json' },
      body: request.body as Buffer,
    })
    reply.code(statusCode).header('content-type', headers['content-type'])
    // What comes with its length is handed on whole, as any such proxy would.
    if (headers['content-length'] !== undefined) return Buffer.from(await body.arrayBuffer())
    return reply.send(Readable.from(body, { objectMode: false }))
  })
  await app.listen({ port: 0, host: '127.0.0.1' })
  return `http://127.0.0.1:${(app.server.address() as AddressInfo).port}`
})
