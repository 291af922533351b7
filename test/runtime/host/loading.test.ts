import assert from 'node:assert/strict'
import { writeFile } from 'node:fs/promises'
import { test } from 'node:test'

import { RuntimeError } from '../../../runtime/client.ts'
import type { EngineStats, LoadEvent } from '../../../runtime/protocol.ts'
import {
  begin,
  collect,
  eventually,
  fakeRequest,
  isAlive,
  startTestRuntime,
  textOf,
} from '../../support/runtime.ts'
import type { TestRuntime } from '../../support/runtime.ts'

const never = new AbortController().signal

async function statsOf(runtime: TestRuntime, version: string): Promise<EngineStats> {
  const { engines } = await runtime.client.stats()
  const stats = engines.find((engine) => engine.version === version)
  assert.ok(stats, `${version} is in the stats`)
  return stats
}

function failsWith(code: string, message: RegExp) {
  return (error: unknown) => {
    assert.ok(error instanceof RuntimeError)
    assert.equal(error.code, code)
    assert.match(error.message, message)
    return true
  }
}

test('two who load a version at once share one engine process', async (t) => {
  const runtime = await startTestRuntime(t)
  const version = await runtime.addVersion('shared', { loadMs: 50 })
  const events: LoadEvent[] = []
  await Promise.all([
    runtime.client.load(version, (event) => events.push(event)),
    runtime.client.load(version),
  ])
  await runtime.client.load(version)
  assert.equal((await runtime.journal(version)).length, 1)
  assert.deepEqual(events, [
    { type: 'progress', phase: 'loading', fraction: 0.5 },
    { type: 'ready', loadMs: 50 },
  ])
  const stats = await statsOf(runtime, version)
  assert.equal(stats.state, 'ready')
  assert.equal(stats.slots, 32)
  // What the system says of the process, not what the engine says of itself, which is 1.
  assert.ok(stats.memoryBytes > 1_000_000)
})

test('a load that fails says why, and can be tried again', async (t) => {
  const runtime = await startTestRuntime(t)
  const error = { code: 'version_unusable', message: 'model.onnx is cut off' } as const
  const version = await runtime.addVersion('damaged', { loadError: error })
  await assert.rejects(runtime.client.load(version), failsWith(error.code, /model.onnx is cut off/))
  const { state, reason } = await statsOf(runtime, version)
  assert.equal(state, 'failed')
  assert.equal(reason, error.message)
  await assert.rejects(
    collect(runtime.client.generate(fakeRequest(version), never)),
    failsWith(error.code, /cut off/),
  )

  await runtime.addVersion('damaged', {})
  await runtime.client.load(version)
  assert.equal((await statsOf(runtime, version)).state, 'ready')
})

test('a process that ends while it loads fails the load with its exit code and last words', async (t) => {
  const runtime = await startTestRuntime(t)
  const version = await runtime.addVersion('quitter', { exitWhileLoading: 'no room\n' })
  await assert.rejects(
    runtime.client.load(version),
    failsWith('engine_lost', /exited with 3: no room\.$/),
  )
})

test('a version that is not there, or is no version, is refused by name', async (t) => {
  const runtime = await startTestRuntime(t)
  await assert.rejects(
    runtime.client.load('absent@1'),
    failsWith('version_not_loaded', /no version 'absent@1' on this host/),
  )
  await writeFile(`${runtime.dataDir}/manifest.json`, '{}')
  for (const id of [
    'nameless',
    '../..@..',
    'a/../../b@1',
    '.hidden@1',
    'Upper@1',
    'a@1@2',
    '@1',
    'a@',
    'a@0',
    'a@x',
  ]) {
    await assert.rejects(runtime.client.load(id), failsWith('invalid_request', /is no version id/))
  }
})

test('a request for a version that is not loaded is told so', async (t) => {
  const runtime = await startTestRuntime(t)
  const version = await runtime.addVersion('idle')
  await assert.rejects(
    collect(runtime.client.generate(fakeRequest(version), never)),
    failsWith('version_not_loaded', /'idle@1' is not loaded/),
  )
})

test('unloading lets running requests finish and ends the process', async (t) => {
  const runtime = await startTestRuntime(t)
  const version = await runtime.addVersion('leaving')
  await runtime.client.load(version)
  const { pid } = await statsOf(runtime, version)
  assert.ok(pid)
  const request = fakeRequest(version, { deltas: 10, everyMs: 10 })
  const running = await begin(runtime.client.generate(request, never))
  const unloaded = runtime.client.unload(version)
  const answer = await running.answer
  assert.equal(answer.at(-1)?.type, 'done')
  assert.equal(textOf(answer).split(' ').length, 11)
  await unloaded
  assert.equal(isAlive(pid), false)
  assert.deepEqual((await runtime.client.stats()).engines, [])
  await runtime.client.unload(version)
})

test('a version that is loaded while it is being unloaded gets a new process', async (t) => {
  const runtime = await startTestRuntime(t)
  const version = await runtime.addVersion('back')
  await runtime.client.load(version)
  const before = await statsOf(runtime, version)
  const unloaded = runtime.client.unload(version)
  await Promise.all([runtime.client.load(version), runtime.client.load(version)])
  await unloaded
  const after = await statsOf(runtime, version)
  assert.notEqual(after.pid, before.pid)
  assert.equal(after.state, 'ready')
  const starts = (await runtime.journal(version)).filter(({ event }) => event === 'start')
  assert.equal(starts.length, 2)
})

test('unloading a version that loads ends its process and tells who waits for it', async (t) => {
  const runtime = await startTestRuntime(t)
  const version = await runtime.addVersion('slow', { loadMs: 60_000 })
  const loading = assert.rejects(
    runtime.client.load(version),
    failsWith('version_not_loaded', /was unloaded/),
  )
  await eventually('it loads', async () => (await runtime.journal(version)).length === 1)
  await runtime.client.unload(version)
  await loading
  const [start] = await runtime.journal(version)
  assert.ok(start)
  assert.equal(isAlive(start.pid), false)
})

test('an engine that does not end when its work is done is ended', async (t) => {
  const runtime = await startTestRuntime(t, { drainMs: 100 })
  const version = await runtime.addVersion('endless')
  await runtime.client.load(version)
  const request = fakeRequest(version, { deltas: 9_999, everyMs: 5 })
  // It has begun when it has produced something.
  const { answer } = await begin(runtime.client.generate(request, never))
  const cut = assert.rejects(answer, (error) => {
    assert.ok(error instanceof RuntimeError)
    assert.equal(error.code, 'version_not_loaded')
    return true
  })
  await runtime.client.unload(version)
  await cut
})
