import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { readdir, readFile, rename } from 'node:fs/promises'
import { connect, createServer } from 'node:net'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { test } from 'node:test'
import type { TestContext } from 'node:test'

import { parseSource } from '../../models/sources.ts'
import { fetchSource } from '../../models/sources/fetch.ts'
import { SourceError, sourceSettings } from '../../models/sources/fetched.ts'
import type { FetchOptions, FetchProgress } from '../../models/sources/fetched.ts'
import { sha256, startHub } from './hub-server.ts'
import type { HubFile, HubRepo } from './hub-server.ts'
import { scratchFolder } from './scratch.ts'

const COMMIT = '0123456789abcdef0123456789abcdef01234567'
const WEIGHTS = randomBytes(300_000)

function checkpoint(weights: Partial<HubFile> = {}): Record<string, HubFile> {
  const text = (content: string) => ({ content: Buffer.from(content) })
  return {
    '.gitattributes': text('*.safetensors filter=lfs'),
    'README.md': text('---\nlicense: apache-2.0\n---\n# A model\n'),
    'config.json': text('{"model_type":"llama"}'),
    'tokenizer.json': text('{}'),
    'model.safetensors': { content: WEIGHTS, isLfs: true, ...weights },
    'onnx/model.onnx': { content: randomBytes(1000), isLfs: true },
    'pytorch_model.bin': { content: randomBytes(1000), isLfs: true },
  }
}

async function setUp(t: TestContext, repo: Partial<HubRepo>, env: Record<string, string> = {}) {
  const cacheDir = await scratchFolder(t)
  const hub = await startHub(t, { 'org/repo': { commit: COMMIT, files: {}, ...repo } })
  const settings = sourceSettings({ HF_ENDPOINT: hub.endpoint, ...env })
  const options: FetchOptions = { cacheDir, settings: { ...settings, stallTimeoutMs: 1000 } }
  const fetch = (text = 'hf:org/repo', more: Partial<FetchOptions> = {}) =>
    fetchSource(parseSource(text), { ...options, ...more })
  return { cacheDir, hub, fetch, home: join(cacheDir, 'hub', 'org--repo') }
}

test('a repository is fetched at the commit of its revision, and only what a checkpoint is made of', async (t) => {
  const { fetch, hub } = await setUp(t, { files: checkpoint() })
  const seen: FetchProgress[] = []
  const fetched = await fetch('hf:org/repo', { onProgress: (progress) => seen.push(progress) })

  assert.equal(fetched.kind, 'hf')
  assert.equal(fetched.reference, 'hf:org/repo')
  assert.equal(fetched.revision, COMMIT)
  assert.deepEqual((await readdir(fetched.path)).sort(), [
    'README.md',
    'config.json',
    'model.safetensors',
    'tokenizer.json',
  ])
  assert.deepEqual(await readFile(join(fetched.path, 'model.safetensors')), WEIGHTS)
  assert.ok(hub.requests.some(({ path }) => path === '/api/models/org/repo/revision/main'))
  assert.ok(hub.requests.some(({ path }) => path === `/org/repo/resolve/${COMMIT}/config.json`))
  const last = seen.findLast(({ phase }) => phase === 'download')
  assert.equal(last?.bytes, last?.totalBytes)
})

test('the same checkpoint has the same sum from the hub and from a folder', async (t) => {
  const { fetch } = await setUp(t, { files: checkpoint() })
  const fetched = await fetch()
  assert.equal((await fetch(fetched.path)).sha256, fetched.sha256)
})

test('a pinned commit that was fetched once needs no hub', async (t) => {
  const { fetch, hub } = await setUp(t, { files: checkpoint() })
  const first = await fetch(`hf:org/repo@${COMMIT}`)
  const asked = hub.requests.length
  assert.deepEqual(await fetch(`hf:org/repo@${COMMIT}`), first)
  assert.equal(hub.requests.length, asked)
})

test('a download that is cut goes on where it ended', async (t) => {
  const { fetch, hub } = await setUp(t, { files: checkpoint({ cutAfter: 100_000 }) })
  const fetched = await fetch()

  assert.deepEqual(await readFile(join(fetched.path, 'model.safetensors')), WEIGHTS)
  const ranges = hub.requests
    .filter(({ path }) => path.endsWith('/model.safetensors'))
    .map(({ range }) => range)
  assert.deepEqual(ranges, [null, 'bytes=100000-', 'bytes=200000-'])
})

test('a download that was interrupted is taken up by the next one', async (t) => {
  const files = checkpoint({ stallAfter: 120_000 })
  const { fetch, hub, home } = await setUp(t, { files })
  const abort = new AbortController()
  await assert.rejects(
    fetch('hf:org/repo', {
      signal: abort.signal,
      onProgress({ item, bytes }) {
        if (item === 'model.safetensors' && bytes >= 120_000) abort.abort(new Error('enough'))
      },
    }),
    /enough/,
  )
  // The leftover as another process would have left it: this one is alive, so its name has to say otherwise.
  const [left = ''] = await readdir(home)
  await rename(join(home, left), join(home, left.replace(`~${process.pid}~`, '~999999999~')))

  delete files['model.safetensors']?.stallAfter
  const fetched = await fetch()
  assert.deepEqual(await readFile(join(fetched.path, 'model.safetensors')), WEIGHTS)
  const last = hub.requests.findLast(({ path }) => path.endsWith('/model.safetensors'))
  assert.equal(last?.range, 'bytes=120000-')
  assert.deepEqual(await readdir(home), [COMMIT])
})

test('a file that is not what the hub says is thrown away and named', async (t) => {
  const claimed = { sha256: 'd'.repeat(64) }
  const { fetch, home } = await setUp(t, { files: checkpoint({ claimed }) })
  await assert.rejects(
    fetch(),
    new SourceError(
      `model.safetensors arrived damaged: sha256 is ${sha256(WEIGHTS)}, the hub says ${claimed.sha256}; it was thrown away`,
    ),
  )
  const [left = ''] = await readdir(home)
  assert.ok(!(await readdir(join(home, left))).some((name) => name.startsWith('model.')))
})

test('a file that is not what the registry pins is named', async (t) => {
  const { fetch } = await setUp(t, { files: checkpoint() })
  const pins = { 'model.safetensors': 'e'.repeat(64) }
  await assert.rejects(
    fetch('hf:org/repo', { pins }),
    /model\.safetensors of .* has sha256 [0-9a-f]{64}; it is pinned to eeee/,
  )
  await assert.rejects(
    fetch('hf:org/repo', { pins: { 'weights.gguf': 'e'.repeat(64) } }),
    /holds no weights\.gguf, which is pinned/,
  )
})

test('a transfer that stalls is given up, with how far it came', async (t) => {
  const { fetch } = await setUp(t, { files: checkpoint({ stallAfter: 0 }) })
  await assert.rejects(
    fetch(),
    new SourceError('model.safetensors broke off after 0 of 300000 bytes: no byte came for 1 s'),
  )
})

test('a host that nobody listens on is given up at once', async (t) => {
  const { fetch } = await setUp(t, {})
  const closed = createServer().listen(0, '127.0.0.1')
  await once(closed, 'listening')
  const { port } = closed.address() as AddressInfo
  await new Promise((resolve) => closed.close(resolve))
  const settings = sourceSettings({ HF_ENDPOINT: `http://127.0.0.1:${port}` })
  await assert.rejects(
    fetch('hf:org/repo', { settings }),
    new RegExp(
      `^SourceError: hf:org/repo: http://127\\.0\\.0\\.1:${port} can't be reached: connect ECONNREFUSED`,
    ),
  )
})

test('a hub that takes the connection and says nothing is given up', async (t) => {
  const { fetch } = await setUp(t, {})
  const silent = createServer(() => {}).listen(0, '127.0.0.1')
  t.after(() => silent.close())
  await once(silent, 'listening')
  const { port } = silent.address() as AddressInfo
  const settings = sourceSettings({ HF_ENDPOINT: `http://127.0.0.1:${port}` })
  await assert.rejects(
    fetch('hf:org/repo', { settings: { ...settings, stallTimeoutMs: 300 } }),
    /can't be reached: no byte came for 0\.3 s/,
  )
})

test('a hub that does not even take the connection is given up', async (t) => {
  const { fetch } = await setUp(t, {})
  // A listener that never accepts: once its queue is full, the kernel lets further connections wait.
  const script = `
    const server = require('node:net').createServer().listen({ port: 0, host: '127.0.0.1', backlog: 1 }, () => {
      process.stdout.write(String(server.address().port))
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0)
    })`
  const child = spawn(process.execPath, ['-e', script], { stdio: ['ignore', 'pipe', 'inherit'] })
  t.after(() => child.kill('SIGKILL'))
  const [port] = await once(child.stdout, 'data')
  const waiting = Array.from({ length: 4 }, () => connect(Number(port), '127.0.0.1'))
  t.after(() => waiting.forEach((socket) => socket.destroy()))
  await new Promise((resolve) => setTimeout(resolve, 100))

  const settings = sourceSettings({ HF_ENDPOINT: `http://127.0.0.1:${port}` })
  await assert.rejects(
    fetch('hf:org/repo', { settings: { ...settings, connectTimeoutMs: 500 } }),
    /can't be reached: no connection within 0\.5 s/,
  )
})

test('a gated repository says what to do', async (t) => {
  const refusal = { status: 401, code: 'GatedRepo' }
  const { fetch } = await setUp(t, { refusal })
  await assert.rejects(
    fetch(),
    /^SourceError: hf:org\/repo is gated \(401, asked without a token\): accept its terms/,
  )
})

test('a repository, a revision and a file that are not there are told apart', async (t) => {
  const { fetch } = await setUp(t, { files: checkpoint() })
  await assert.rejects(
    fetch('hf:org/none'),
    /has no such public repository \(401\); .* set HF_TOKEN/,
  )
  await assert.rejects(fetch('hf:org/repo@v9'), /hf:org\/repo@v9: http.* has no such revision/)
  await assert.rejects(fetch('hf:org/repo/x.gguf'), /'x\.gguf' names no checkpoint; there are \./)
})

test('the token is sent to the hub', async (t) => {
  const { fetch, hub } = await setUp(t, { files: checkpoint() }, { HF_TOKEN: 'hf_secret' })
  await fetch()
  assert.ok(hub.requests.every(({ authorization }) => authorization === 'Bearer hf_secret'))
})

test('the token is not sent to the store that a download is sent on to', async (t) => {
  const store = await startHub(t, { 'org/repo': { commit: COMMIT, files: checkpoint() } })
  const movedTo = `${store.endpoint}/org/repo/resolve/${COMMIT}/model.safetensors`
  const files = checkpoint({ movedTo })
  const { fetch } = await setUp(t, { files }, { HF_TOKEN: 'hf_secret' })
  const fetched = await fetch()

  assert.deepEqual(await readFile(join(fetched.path, 'model.safetensors')), WEIGHTS)
  assert.deepEqual(
    store.requests.map(({ authorization }) => authorization),
    [null],
  )
})

test('of a repository of GGUF files the one that is named is fetched', async (t) => {
  const gguf = (content: string) => ({ content: Buffer.from(content), isLfs: true })
  const files = { 'a-q4.gguf': gguf('four'), 'a-q8.gguf': gguf('eight') }
  const { fetch } = await setUp(t, { files })

  await assert.rejects(
    fetch(),
    new SourceError(
      'hf:org/repo holds several checkpoints; name one as hf:org/repo/<file>: a-q4.gguf, a-q8.gguf',
    ),
  )
  const fetched = await fetch('hf:org/repo/a-q8.gguf@main')
  assert.equal(await readFile(fetched.path, 'utf8'), 'eight')
  assert.equal(fetched.sha256, sha256(Buffer.from('eight')))
})

test('weights that only come as pickles are refused', async (t) => {
  const files = checkpoint()
  delete files['model.safetensors']
  delete files['onnx/model.onnx']
  const { fetch } = await setUp(t, { files })
  await assert.rejects(
    fetch(),
    /holds its weights as pytorch_model\.bin, which can't be read without running code/,
  )
})

test('a checkpoint that the disk has no room for is refused before it is fetched', async (t) => {
  const { fetch, hub } = await setUp(t, { files: checkpoint({ claimed: { bytes: 1e15 } }) })
  await assert.rejects(
    fetch(),
    /^SourceError: hf:org\/repo needs 1000\d+ MB at .*, where \d+ MB are free$/,
  )
  assert.ok(!hub.requests.some(({ path }) => path.includes('/resolve/')))
})
