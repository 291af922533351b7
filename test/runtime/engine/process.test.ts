import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { mkdtemp, readdir, rm, stat } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { after, before, test } from 'node:test'
import { fileURLToPath } from 'node:url'

import { writeManifest } from '../../../models/manifest.ts'
import type { ManifestSource } from '../../../models/manifest.ts'
import { importVersion } from '../../../runtime/import.ts'
import { EngineProcess } from './engine-process.ts'

const ROOT = fileURLToPath(new URL('../../../', import.meta.url))
const CHECKPOINT = path.join(ROOT, 'models/headrace-guide/checkpoint')

let folder: string

before(async () => {
  folder = await mkdtemp(path.join(tmpdir(), 'headrace-engine-'))
  const sha256 = '0'.repeat(64)
  const source: ManifestSource = { kind: 'bundled', reference: 'guide', revision: null, sha256 }
  const draft = await importVersion({
    path: CHECKPOINT,
    folder,
    model: 'headrace-guide',
    precision: 'fp32',
    source,
    licence: null,
    threads: 2,
  })
  const files: Record<string, { sha256: string; bytes: number }> = {}
  for (const name of await readdir(folder)) {
    const { size } = await stat(path.join(folder, name))
    files[name] = { sha256, bytes: size }
  }
  const created = new Date().toISOString()
  await writeManifest(folder, { ...draft, version: '1', created, files })
})

after(() => rm(folder, { recursive: true }))

const QUESTIONS = ['How do I roll back a model version?', 'What is a slot?', 'How do I make a key?']

function chat(nth: number) {
  const content = `${QUESTIONS[nth % QUESTIONS.length]}${' Please.'.repeat(nth % 4)}`
  return { kind: 'chat' as const, messages: [{ role: 'user' as const, content }] }
}

test('a forked engine loads a version, answers, and ends with 0 when it has drained', async (t) => {
  const engine = new EngineProcess(t, folder)
  await engine.ready()
  assert.deepEqual(
    engine.loadEvents.map((event) => (event.type === 'progress' ? event.phase : event.type)),
    ['starting', 'loading', 'warming', 'ready'],
  )
  engine.generate({ id: 'a', prompt: chat(0), sampling: { temperature: 0 }, maxTokens: 60 })
  engine.send({ type: 'drain' })
  engine.generate({ id: 'late', prompt: chat(0) })
  const { text, last } = await engine.answer('a')
  assert.equal(last.type, 'done')
  assert.match(text, /^[A-Z][^\uFFFD<]+$/)
  assert.equal(await engine.exitCode(), 0)
  const [late] = engine.events('late')
  assert(late?.type === 'error' && late.error.code === 'draining')
})

test('32 seeded requests at once get token for token what each gets alone', async (t) => {
  const engine = new EngineProcess(t, folder, { slots: 32 })
  await engine.ready()
  const kinds = [
    { temperature: 0 },
    { temperature: 1 },
    { temperature: 1.3, topP: 0.9 },
    { temperature: 0.8, topK: 20, repetitionPenalty: 1.1 },
  ]
  const ask = (prefix: string, nth: number) => {
    const sampling = { ...kinds[nth % kinds.length], seed: nth }
    const id = `${prefix}${nth}`
    engine.generate({ id, prompt: chat(nth), sampling, maxTokens: 24, ignoreEnd: nth % 2 === 0 })
    return engine.answer(id)
  }
  const together = await Promise.all(Array.from({ length: 32 }, (_, nth) => ask('together', nth)))
  const { cachedTokens } = await engine.stats()
  assert(cachedTokens > 200, `${cachedTokens} tokens were used again`)
  for (const [nth, { text }] of together.entries()) {
    assert.equal((await ask('alone', nth)).text, text)
  }
})

test('a cancelled request is heard of no more, and its slot is free', async (t) => {
  const engine = new EngineProcess(t, folder, { slots: 1, contextTokens: 512 })
  await engine.ready()
  engine.generate({ id: 'gone', prompt: chat(0), ignoreEnd: true })
  await engine.until('it began', () => engine.events('gone').length > 3)
  engine.send({ type: 'cancel', id: 'gone' })
  engine.generate({ id: 'next', prompt: chat(1), maxTokens: 1 })
  await engine.answer('next')
  assert.equal(engine.events('gone').filter(({ type }) => type === 'done').length, 0)
  const { running, waiting, slots, contextTokens } = await engine.stats()
  assert.deepEqual(
    { running, waiting, slots, contextTokens },
    { running: 0, waiting: 0, slots: 1, contextTokens: 512 },
  )
})

test('an interrupt from the terminal is left to the host', async (t) => {
  const engine = new EngineProcess(t, folder)
  await engine.ready()
  engine.child.kill('SIGINT')
  engine.child.kill('SIGTERM')
  engine.generate({ id: 'a', prompt: chat(1), maxTokens: 5 })
  assert.equal((await engine.answer('a')).last.type, 'done')
})

test('an engine does not outlive its host', async (t) => {
  const engine = new EngineProcess(t, folder)
  await engine.ready()
  engine.generate({ id: 'a', prompt: chat(1), ignoreEnd: true })
  engine.child.disconnect()
  assert.equal(await engine.exitCode(), 0)
})

test('a version that can not be served is reported by what is wrong with it, and the process fails', async (t) => {
  const engine = new EngineProcess(t, path.join(folder, 'nothing'))
  assert.equal(await engine.exitCode(), 1)
  const event = engine.loadEvents.at(-1)
  assert(event?.type === 'error')
  assert.equal(event.error.code, 'version_unusable')
  assert.match(event.error.message, /tiny@1.*manifest\.json/)
})

test('a cache budget that holds no sequence is refused with the figures', async (t) => {
  const engine = new EngineProcess(t, folder, { kvBudgetBytes: 1000 })
  assert.equal(await engine.exitCode(), 1)
  const event = engine.loadEvents.at(-1)
  assert(event?.type === 'error')
  assert.match(event.error.message, /one sequence of 2048 tokens takes \d+ MiB/)
})

test('started by hand it says who starts it', async () => {
  const { promise, resolve } = Promise.withResolvers<{ code: unknown; stderr: string }>()
  const entry = path.join(ROOT, 'runtime/engine/main.ts')
  execFile(process.execPath, [entry], (error, _, stderr) => resolve({ code: error?.code, stderr }))
  const { code, stderr } = await promise
  assert.equal(code, 1)
  assert.match(stderr, /started by a runtime host/)
})
