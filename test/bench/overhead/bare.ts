// The least that a gateway in this language can be: Fastify in front, undici behind, nothing in between.

import fastify from 'fastify'
import { Pool } from 'undici'
import type { AddressInfo } from 'node:net'

const upstream = new Pool(process.argv[2] ?? '', { connections: 256 })
const app = fastify({ bodyLimit: 8 * 1024 * 1024 })
app.removeAllContentTypeParsers()
app.addContentTypeParser('*', { parseAs: 'buffer' }, (_request, body, done) => done(null, body))
app.post('/v1/chat/completions', async (request, reply) => {
  const { statusCode, headers, body } = await upstream.request({
    method: 'POST',
    path: request.url,
    headers: { 'content-type': 'application/json' },
    body: request.body as Buffer,
  })
  reply.code(statusCode).header('content-type', headers['content-type'])
  return reply.send(body)
})
await app.listen({ host: '127.0.0.1', port: 0 })
process.send?.({ port: (app.server.address() as AddressInfo).port })
process.on('disconnect', () => process.exit(0))
