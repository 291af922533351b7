// How /readyz follows the engine of the server's own model.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { TestContext } from 'node:test'

import { DefaultModel } from '../../cli/default-model.ts'
import { Readiness } from '../../gateway/process/readiness.ts'
import { RuntimeError } from '../../runtime/client.ts'
import { recordLog } from '../support/logger.ts'
import { ScriptedRuntime } from '../support/scripted-runtime.ts'
import { until } from '../support/until.ts'
import type { Answering } from '../../cli/default-model.ts'
import type { StoredVersion } from '../../models/store.ts'

const VERSION = { id: 'guide@2' } as StoredVersion

function start(t: TestContext) {
  const runtime = new ScriptedRuntime([])
  const readiness = new Readiness()
  const ending = new AbortController()
  t.after(() => ending.abort())
  const time = { now: 0 }
  const answering: Answering = { version: VERSION.id, upstream: null }
  const model = new DefaultModel(() => Promise.resolve({ ...answering }), {
    runtime,
    readiness,
    logger: recordLog().logger,
    signal: ending.signal,
    now: () => time.now,
  })
  return { runtime, readiness, model, time, answering }
}

test('a server is not ready while its engine is started again, and ready after', async (t) => {
  const { runtime, readiness, model } = start(t)
  await model.load()
  assert.equal(readiness.report.isReady, true)

  runtime.engine = { state: 'restarting' }
  await model.look()
  assert.equal(readiness.report.isReady, false)
  assert.equal(readiness.report.detail, 'The engine of guide@2 is being started again.')

  runtime.engine = { state: 'ready' }
  await model.look()
  assert.equal(readiness.report.isReady, true)
  assert.equal(runtime.loads, 1)
})

test('a runtime that was started anew is made to load the version again', async (t) => {
  const { runtime, readiness, model } = start(t)
  await model.load()
  const { promise: loaded, resolve: mayLoad } = Promise.withResolvers<void>()
  runtime.loaded.clear()
  runtime.onLoad = () => loaded
  await model.look()
  assert.equal(readiness.report.isReady, false)
  assert.equal(readiness.report.phase, 'loading')
  const again = model.load()
  mayLoad()
  await again
  assert.equal(readiness.report.isReady, true)
  assert.equal(runtime.loads, 2)
})

test('a server whose version can not be loaded goes on, and is ready as soon as another one is deployed', async (t) => {
  const { runtime, readiness, model, answering } = start(t)
  runtime.onLoad = () => Promise.reject(unusable())
  const begun = model.begin()
  await until(() => readiness.report.phase === 'failed')
  assert.equal(readiness.report.isReady, false)

  answering.version = 'guide@3'
  runtime.loaded.add('guide@3')
  await begun
  assert.equal(readiness.report.localVersion, 'guide@3')
})

test('a version that can not be loaded is tried again half a minute later, not all the time', async (t) => {
  const { runtime, readiness, model, time } = start(t)
  await model.load()
  runtime.loaded.clear()
  runtime.onLoad = () => Promise.reject(unusable())
  await model.look()
  await assert.rejects(model.load())
  const tried = runtime.loads
  time.now += 29_000
  await model.look()
  assert.equal(runtime.loads, tried)
  assert.equal(readiness.report.phase, 'failed')
  runtime.onLoad = () => Promise.resolve()
  time.now += 2_000
  await model.look()
  await model.load()
  assert.equal(readiness.report.isReady, true)
})

test('where an upstream answers no engine is waited for, and none is kept', async (t) => {
  const { runtime, readiness, model, answering } = start(t)
  runtime.onLoad = () => Promise.reject(unusable())
  Object.assign(answering, { version: 'guide@3', upstream: 'openai' })
  await model.load()
  const { isReady, detail, localVersion } = readiness.report
  assert.deepEqual([isReady, localVersion], [true, null])
  assert.equal(detail, 'guide@3 answers over the upstream openai.')
  assert.deepEqual([runtime.loads, model.wanted], [0, []])

  // Taken back to the library's.
  Object.assign(answering, { version: 'guide@2', upstream: null })
  runtime.onLoad = () => Promise.resolve()
  await model.look()
  await model.load()
  assert.deepEqual([readiness.report.localVersion, model.wanted], ['guide@2', ['guide@2']])
})

test('a model that an upstream comes to answer for while its engine is waited for is ready', async (t) => {
  const { runtime, readiness, model, answering } = start(t)
  runtime.onLoad = () =>
    Promise.reject(new RuntimeError({ code: 'runtime_unreachable', message: 'Away.' }))
  const loading = model.load()
  Object.assign(answering, { version: 'guide@3', upstream: 'openai' })
  await loading
  assert.equal(readiness.report.isReady, true)
})

function unusable(): RuntimeError {
  return new RuntimeError({ code: 'version_unusable', message: 'It went wrong.' })
}
