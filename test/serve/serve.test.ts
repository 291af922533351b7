import assert from 'node:assert/strict'
import { once } from 'node:events'
import { readdir, readFile } from 'node:fs/promises'
import { createServer } from 'node:net'
import { join } from 'node:path'
import test, { before } from 'node:test'
import type { AddressInfo } from 'node:net'
import type { TestContext } from 'node:test'

import { makeFolder } from '../support/folder.ts'
import { lastingFile } from '../support/lasting.ts'
import { processesOf, runHeadrace, startHeadrace } from '../support/process.ts'

/** with the model that comes with the repository, so that no network is needed */
const SETTINGS = {
  HEADRACE_PORT: '0',
  HEADRACE_DEFAULT_MODEL: 'headrace-guide',
  HEADRACE_SLOTS: '4',
}

// The first test's start makes database and model; those after it are second starts on the same folder.
let dataDir = ''
const file = lastingFile()
before(async () => {
  dataDir = await makeFolder(file, 'a folder with spaces')
})

async function serve(t: TestContext) {
  const server = startHeadrace(t, ['serve'], {
    env: { ...SETTINGS, HEADRACE_DATA_DIR: dataDir },
  })
  const [, url] = await server.says(/the gateway listens at (http:[^"]+)"/)
  return { server, url: url! }
}

interface Completion {
  model: string
  choices: { message: { content: string } }[]
}

async function complete(url: string, key: string, more: object = {}): Promise<Response> {
  return fetch(`${url}/v1/chat/completions`, {
    method: 'POST',
    headers: { authorization: `Bearer ${key}`, 'content-type': 'application/json' },
    body: JSON.stringify({
      model: 'headrace-guide',
      messages: [{ role: 'user', content: 'How do I roll back a model version?' }],
      temperature: 0,
      max_tokens: 24,
      ...more,
    }),
  })
}

test('one command serves: it tells how far it is, then a key and a line to paste, and what is logged is there', async (t) => {
  const { server, url } = await serve(t)

  const early = await fetch(`${url}/readyz`)
  assert.equal((await fetch(`${url}/healthz`)).status, 200)
  if (early.status !== 200) assert.equal(early.status, 503)
  assert.match(await early.text(), /"phase":"(starting|preparing|loading|ready)"/)

  const [, key] = await server.says(/Key {4}(hr_admin_\S+)/)
  assert.equal((await fetch(`${url}/readyz`)).status, 200)
  assert.equal((await readFile(join(dataDir, 'admin-key'), 'utf8')).trim(), key)
  assert.ok(server.stdout.includes(`curl ${url}/v1/chat/completions`))
  const answer = (await (await complete(url, key!)).json()) as Completion
  assert.ok(answer.choices[0]!.message.content.length > 10)

  // A second one on the same folder goes away without touching anything.
  const second = await runHeadrace(t, ['serve'], {
    env: { ...SETTINGS, HEADRACE_DATA_DIR: dataDir },
  })
  assert.equal(second.code, 1)
  assert.match(second.stderr, /^headrace: The data folder .* is in use by another Headrace.*\n$/m)

  const made = await runHeadrace(t, ['keys', 'create', 'bot'], {
    env: { HEADRACE_DATA_DIR: dataDir },
  })
  assert.equal((await complete(url, made.stdout.trim())).status, 200)

  const loaded = await runHeadrace(t, ['models', 'ps'], { env: { HEADRACE_DATA_DIR: dataDir } })
  assert.match(loaded.stdout, /^headrace-guide@1 +ready +local +\d+ MiB +4 .* yes$/m)

  // The runtime is killed; the next request is answered by the one that takes its place.
  const runtime = await runtimeOf(dataDir)
  process.kill(runtime, 'SIGKILL')
  await server.says(/the runtime ended by itself/)
  assert.equal((await fetch(`${url}/readyz`)).status, 503)
  let status = 0
  while (status !== 200) status = (await complete(url, key!)).status
  while ((await fetch(`${url}/readyz`)).status !== 200) continue

  server.kill('SIGTERM')
  assert.equal(await server.ended, 0)
  assert.deepEqual(await processesOf(dataDir), [])
})

test('at SIGTERM a running stream ends as it should, a new request gets 503, and nothing is left', async (t) => {
  const begunMs = performance.now()
  const { server, url } = await serve(t)
  await server.says(/Headrace is ready/)
  assert.ok(
    performance.now() - begunMs < 15_000,
    'a second start takes seconds, also on a busy machine',
  )
  const key = (await readFile(join(dataDir, 'admin-key'), 'utf8')).trim()
  const stream = await complete(url, key, { stream: true, max_tokens: 200 })
  server.kill('SIGTERM')
  await server.says(/the gateway drains/)
  const refused = await complete(url, key).catch(() => null)
  if (refused) assert.equal(refused.status, 503)
  assert.match(await stream.text(), /data: \[DONE\]\n\n$/)
  assert.equal(await server.ended, 0)
  assert.deepEqual(await processesOf(dataDir), [])
})

test('without a model of its own a server loads those of the library when they are asked for', async (t) => {
  const server = startHeadrace(t, ['serve'], {
    env: { ...SETTINGS, HEADRACE_DATA_DIR: dataDir, HEADRACE_DEFAULT_MODEL: 'none' },
  })
  const [, url] = await server.says(/the gateway listens at (http:[^"]+)"/)
  await server.says(/Model {2}none/)
  let ready = await fetch(`${url}/readyz`)
  while (ready.status !== 200) ready = await fetch(`${url}/readyz`)
  assert.match(await ready.text(), /1 of the library can be loaded/)
  const key = (await readFile(join(dataDir, 'admin-key'), 'utf8')).trim()
  const answer = await complete(url!, key)
  assert.equal(answer.status, 200, await answer.clone().text())
})

test('a port that is taken is said in one sentence, before anything is made', async (t) => {
  const other = createServer().listen(0, '127.0.0.1')
  await once(other, 'listening')
  t.after(() => other.close())
  const { port } = other.address() as AddressInfo
  const untouched = await makeFolder(t)
  const { code, stderr } = await runHeadrace(t, ['serve'], {
    env: { HEADRACE_DATA_DIR: untouched, HEADRACE_PORT: String(port) },
  })
  assert.equal(code, 1)
  assert.match(stderr, new RegExp(`^headrace: Something else listens on port ${port} of 127.0.0.1`))
  assert.equal(stderr.trim().split('\n').length, 1)
  await assert.rejects(readFile(join(untouched, 'admin-key')), /ENOENT/)
})

test('a server that is told to end while it starts leaves nothing running', async (t) => {
  const { server } = await serve(t)
  server.kill('SIGTERM')
  assert.equal(await server.ended, 0)
  assert.deepEqual(await processesOf(dataDir), [])
})

async function runtimeOf(dataDir: string): Promise<number> {
  for (const pid of await readdir('/proc')) {
    const command = await readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => '')
    const environment = await readFile(`/proc/${pid}/environ`, 'utf8').catch(() => '')
    const isRuntime = command.includes('cli/main.ts\0runtime\0')
    if (isRuntime && environment.includes(`HEADRACE_DATA_DIR=${dataDir}\0`)) return Number(pid)
  }
  throw new Error('no runtime found')
}
