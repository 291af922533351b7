import assert from 'node:assert/strict'
import { once } from 'node:events'
import { createServer } from 'node:http'
import { createServer as createTcpServer } from 'node:net'
import { test } from 'node:test'
import { setImmediate, setTimeout } from 'node:timers/promises'
import type { IncomingMessage, RequestListener, ServerResponse } from 'node:http'
import type { AddressInfo, Server } from 'node:net'
import type { TestContext } from 'node:test'

import { createRuntimeClient, RuntimeError } from '../../../runtime/client.ts'
import { MAX_BODY_BYTES } from '../../../runtime/protocol.ts'
import type { GenerateEvent } from '../../../runtime/protocol.ts'
import { collect, eventually, fakeRequest, temporaryFolder, textOf } from '../../support/runtime.ts'

const never = new AbortController().signal
const request = fakeRequest('a@1')
const DONE = {
  type: 'done',
  finishReason: 'stop',
  usage: { promptTokens: 1, cachedTokens: 0, completionTokens: 1 },
  timings: { queueMs: 0, prefillMs: 0, decodeMs: 0, timeToFirstTokenMs: 0 },
}
const line = (event: object) => JSON.stringify(event) + '\n'
const delta = (text: string) => line({ type: 'delta', text, tokens: 1 })

async function clientOf(t: TestContext, server: Server) {
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  const address = `http://127.0.0.1:${port}`
  const client = createRuntimeClient({ address })
  t.after(async () => {
    await client.close()
    server.close()
  })
  return { client, address }
}

/** A client of something that answers as `listener` does. */
function clientFor(t: TestContext, listener: RequestListener) {
  return clientOf(t, createServer(listener))
}

function answering(write: (response: ServerResponse) => void): RequestListener {
  return (incoming: IncomingMessage, response) => {
    incoming.resume()
    response.writeHead(200, { 'content-type': 'application/x-ndjson' })
    write(response)
  }
}

test('an answer whose bytes come one by one is the same answer', async (t) => {
  const text = 'né 日本 👩‍🚀'
  const { client } = await clientFor(
    t,
    answering((response) => {
      const bytes = Buffer.from('\n' + delta(text) + '\n' + line(DONE))
      const next = (i: number) => {
        if (i === bytes.length) response.end()
        else response.write(bytes.subarray(i, i + 1), () => next(i + 1))
      }
      next(0)
    }),
  )
  assert.equal(textOf(await collect(client.generate(request, never))), text)
})

test('as many vectors as a request may ask for arrive, of the longest kind there is', async (t) => {
  const vector = Buffer.alloc(4 * 4096).toString('base64')
  const vectors = Array.from({ length: 2048 }, () => vector)
  const result = { kind: 'vectors', vectors }
  const { client } = await clientFor(
    t,
    answering((response) =>
      response.end(line({ type: 'encoded', result, promptTokens: 2048, queueMs: 0, computeMs: 0 })),
    ),
  )
  const asked = { id: 'e', version: 'a@1', task: 'embed', inputs: ['a'] } as const
  const encoded = await client.encode({ ...asked, inputs: [...asked.inputs] }, never)
  assert.ok(encoded.result.kind === 'vectors' && encoded.result.vectors.length === 2048)
})

test('lines that a runtime would not send are a clear error, after those that were good', async (t) => {
  const cases: [bad: string, message: RegExp][] = [
    ['<html>\n', /sent a line that is not JSON: <html>\.$/],
    ['{"type":"surprise"}\n', /sent an unknown event: {"type":"surprise"}\.$/],
    ['null\n', /sent an unknown event: null/],
  ]
  for (const [bad, message] of cases) {
    const { client, address } = await clientFor(
      t,
      answering((response) => response.end(delta('good') + bad)),
    )
    const seen: GenerateEvent[] = []
    await assert.rejects(
      async () => {
        for await (const event of client.generate(request, never)) seen.push(event)
      },
      (error) => {
        assert.ok(error instanceof RuntimeError)
        assert.equal(error.code, 'internal')
        assert.match(error.message, message)
        assert.ok(error.message.includes(address))
        assert.ok(error.cause)
        return true
      },
    )
    assert.equal(textOf(seen), 'good')
  }
})

test('an answer that is cut never looks complete', async (t) => {
  const cuts: [cut: (response: ServerResponse) => void, message: RegExp][] = [
    [(response) => response.end(), /broke off before its answer was complete/],
    [(response) => response.end('{"type":"de'), /broke off: it ended within a line/],
    [(response) => response.socket?.destroy(), /broke off: /],
  ]
  for (const [cut, message] of cuts) {
    const { client } = await clientFor(
      t,
      answering((response) => response.write(delta('so far'), () => cut(response))),
    )
    const seen: GenerateEvent[] = []
    await assert.rejects(
      async () => {
        for await (const event of client.generate(request, never)) seen.push(event)
      },
      { code: 'runtime_unreachable', message },
    )
    assert.equal(textOf(seen), 'so far')
  }
})

test('a runtime that is not there is unreachable, for every call', async (t) => {
  const address = `unix:${await temporaryFolder(t)}/absent.sock`
  const client = createRuntimeClient({ address })
  t.after(() => client.close())
  const unreachable = (error: unknown) => {
    assert.ok(error instanceof RuntimeError)
    assert.equal(error.code, 'runtime_unreachable')
    assert.match(error.message, /^The runtime at unix:.* can't be reached: connect ENOENT/)
    assert.ok(error.cause instanceof Error)
    return true
  }
  await assert.rejects(collect(client.generate(request, never)), unreachable)
  await assert.rejects(client.load('a@1'), unreachable)
  await assert.rejects(client.unload('a@1'), unreachable)
  await assert.rejects(client.stats(), unreachable)
})

test('something else than a runtime is told by its status', async (t) => {
  const { client } = await clientFor(t, (_incoming, response) => {
    response.writeHead(502).end('<html>bad gateway</html>')
  })
  const expected = { code: 'internal', message: /answered with status 502/ }
  await assert.rejects(collect(client.generate(request, never)), expected)
  await assert.rejects(client.stats(), expected)
})

test('a request that is longer than a runtime takes is refused with both lengths', async (t) => {
  const { client } = await clientFor(t, () => assert.fail('it was sent'))
  const ids = Array<number>(MAX_BODY_BYTES / 4).fill(100_000)
  const long = { ...request, prompt: { kind: 'tokens', ids } } as const
  await assert.rejects(collect(client.generate(long, never)), {
    code: 'invalid_request',
    message: new RegExp(`has \\d+ bytes; a runtime takes up to ${MAX_BODY_BYTES}`),
  })
})

test('closing the client ends what runs, and later calls are refused', async (t) => {
  const { client } = await clientFor(
    t,
    answering((response) => response.write(delta('so far'))),
  )
  await assert.rejects(
    async () => {
      for await (const event of client.generate(request, never)) {
        assert.equal(event.type, 'delta')
        await client.close()
      }
    },
    { code: 'runtime_unreachable' },
  )
  await assert.rejects(client.stats(), { code: 'runtime_unreachable' })
})

test('an abort before the request is sent rejects with its reason and connects to nothing', async (t) => {
  let connections = 0
  const { client } = await clientOf(
    t,
    createTcpServer(() => connections++),
  )
  const reason = new Error('left already')
  const aborted = AbortSignal.abort(reason)
  await assert.rejects(collect(client.generate(request, aborted)), (error) => error === reason)
  assert.equal(connections, 0)
})

test('a request that is aborted while its connection is made is not sent', async (t) => {
  let received = ''
  const { client } = await clientOf(
    t,
    createTcpServer((socket) => {
      socket.on('data', (data) => (received += data.toString())).on('error', () => {})
    }),
  )
  const leaving = new AbortController()
  const left = assert.rejects(collect(client.generate(request, leaving.signal)))
  leaving.abort()
  await left
  await setTimeout(50)
  assert.equal(received, '')
})

test('an abort while the request waits for its answer is felt at once', async (t) => {
  const closed = Promise.withResolvers<void>()
  const { client } = await clientOf(
    t,
    createTcpServer((socket) => {
      // It accepts, and never says a word.
      socket.on('close', () => closed.resolve()).on('error', () => {})
      socket.resume()
    }),
  )
  const leaving = new AbortController()
  const left = assert.rejects(
    collect(client.generate(request, leaving.signal)),
    (error) => error === 'a reason that is no error',
  )
  await setTimeout(50)
  leaving.abort('a reason that is no error')
  await left
  await closed.promise
})

test('an abort between two deltas ends the answer there, whatever has arrived', async (t) => {
  const { client } = await clientFor(
    t,
    answering((response) => response.end(delta('one') + delta('two') + line(DONE))),
  )
  const leaving = new AbortController()
  const seen: GenerateEvent[] = []
  await assert.rejects(
    async () => {
      for await (const event of client.generate(request, leaving.signal)) {
        seen.push(event)
        leaving.abort()
      }
    },
    { name: 'AbortError' },
  )
  assert.equal(textOf(seen), 'one')
})

test('a reader that stops reading stops the connection, and misses nothing', async (t) => {
  let written = 0
  let isFull = false
  const chunk = delta('x'.repeat(1_000)).repeat(100)
  const { client } = await clientFor(
    t,
    answering((response) => {
      const more = () => {
        while (written < 1_000) {
          written++
          if (!response.write(chunk)) {
            isFull = true
            return response.once('drain', more)
          }
        }
        return response.end(line(DONE))
      }
      more()
    }),
  )
  const events = client.generate(request, never)[Symbol.asyncIterator]()
  const first = await events.next()
  assert.equal(first.value?.type, 'delta')
  await eventually('the server has to wait', () => isFull)
  let settled = -1
  await eventually('it waits for us', async () => {
    const isSettled = settled === written
    settled = written
    await setTimeout(50)
    return isSettled
  })
  assert.ok(written < 900, `${written} chunks were taken in`)
  let deltas = 1
  for (let next = await events.next(); !next.done; next = await events.next()) {
    if (next.value.type === 'delta') deltas++
  }
  assert.equal(deltas, 100_000)
})

test('hundreds of answers run at once, and their connections are used again', async (t) => {
  let connections = 0
  const waiting: ServerResponse[] = []
  const server = createServer(
    answering((response) => {
      response.write(delta('hello'))
      waiting.push(response)
      if (waiting.length < 300) return
      for (const each of waiting.splice(0)) each.end(line(DONE))
    }),
  )
  server.on('connection', () => connections++)
  const { client } = await clientOf(t, server)
  for (let round = 0; round < 2; round++) {
    const answers = Array.from({ length: 300 }, () => collect(client.generate(request, never)))
    for (const answer of await Promise.all(answers)) assert.equal(textOf(answer), 'hello')
    // A connection is free for the next request once its answer's last byte was seen.
    await setImmediate()
  }
  assert.equal(connections, 300)
})
