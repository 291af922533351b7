// A command that asks the server: it waits for as long as that takes, and says what went wrong with the connection.

import assert from 'node:assert/strict'
import { once } from 'node:events'
import { createServer } from 'node:http'
import type { RequestListener } from 'node:http'
import type { AddressInfo } from 'node:net'
import { test } from 'node:test'
import type { TestContext } from 'node:test'

import { Agent, getGlobalDispatcher, setGlobalDispatcher } from 'undici'

import { commandLineOf } from '../support/command-line.ts'
import { defer } from '../support/lasting.ts'
import { scratchFolder } from '../models/scratch.ts'

async function startServer(t: TestContext, answer: RequestListener) {
  const server = createServer(answer).listen(0, '127.0.0.1')
  await once(server, 'listening')
  defer(t, () => void server.close())
  const { port } = server.address() as AddressInfo
  const url = `http://127.0.0.1:${port}`
  const HEADRACE_DATA_DIR = await scratchFolder(t)
  const run = commandLineOf({
    HEADRACE_DATA_DIR,
    HEADRACE_URL: url,
    HEADRACE_API_KEY: 'a-key-of-16-characters',
  })
  return { url, run }
}

test('a command waits for as long as its server takes', async (t) => {
  const before = getGlobalDispatcher()
  defer(t, () => setGlobalDispatcher(before))
  // fetch gives up after five minutes; loading a large version, and ending an old one, may take longer.
  setGlobalDispatcher(new Agent({ headersTimeout: 1 }))
  const { run } = await startServer(t, (_request, response) => {
    const body = JSON.stringify({
      model: 'guide',
      number: 2,
      state: { targets: [{ version: 'guide@2' }] },
    })
    setTimeout(() => response.end(body), 1_500)
  })
  assert.match(await run('deploy', 'guide@2'), /^guide is answered by guide@2 \(deployment 2\)\.$/)
})

test('a connection that breaks while a command waits is no server that is not there', async (t) => {
  const { url, run } = await startServer(t, (request) => {
    request.resume().on('end', () => request.socket.destroy())
  })
  await assert.rejects(run('deploy', 'guide@2'), {
    message: `The connection to ${url} broke before there was an answer: socket hang up. What was asked for may go on there.`,
  })
})

test('a server that is not there is named, with what may be done', async (t) => {
  const run = commandLineOf({
    HEADRACE_DATA_DIR: await scratchFolder(t),
    HEADRACE_URL: 'http://127.0.0.1:1',
    HEADRACE_API_KEY: 'a-key-of-16-characters',
  })
  await assert.rejects(run('deploy', 'guide@2'), {
    message:
      /^No server can be reached at http:\/\/127\.0\.0\.1:1: .*ECONNREFUSED.* Start one by headrace serve/,
  })
})

test('a command that asks again and again over one connection listens to it once', async (t) => {
  let asked = 0
  const { run } = await startServer(t, (request, response) => {
    request.resume()
    const object = ++asked < 15 ? 'engine.loading' : 'engine.loaded'
    response.end(JSON.stringify({ object, version: 'guide@2', detail: 'It is being loaded.' }))
  })
  const warnings: Error[] = []
  const hear = (warning: Error) => void warnings.push(warning)
  process.on('warning', hear)
  defer(t, () => void process.off('warning', hear))
  assert.match(await run('models', 'load', 'guide@2'), /guide@2 is loaded\.$/)
  // Warnings are told in a turn of their own.
  await new Promise((resolve) => setImmediate(resolve))
  assert.equal(asked, 15)
  assert.deepEqual(warnings, [])
})
