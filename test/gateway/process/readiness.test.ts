import assert from 'node:assert/strict'
import { test } from 'node:test'

import { Readiness } from '../../../gateway/process/readiness.ts'

test('a server that brings a model is not ready before it answers, whatever is declared', () => {
  const readiness = new Readiness(() => 3)
  assert.equal(readiness.report.isReady, false)
  readiness.wait('preparing', 'guide is being downloaded.', 0.5)
  assert.deepEqual(readiness.report, {
    isReady: false,
    phase: 'preparing',
    detail: 'guide is being downloaded.',
    progress: 0.5,
    localVersion: null,
    declaredModels: 3,
  })
  readiness.ready('guide@1')
  assert.equal(readiness.report.isReady, true)
  assert.equal(readiness.report.localVersion, 'guide@1')
})

test('a model that goes away takes a server out only where nothing else answers', () => {
  let declared = 0
  const readiness = new Readiness(() => declared)
  readiness.ready('guide@1')
  readiness.wait('loading', 'The engine of guide@1 is started again.')
  assert.equal(readiness.report.isReady, false)
  declared = 1
  const { isReady, detail, localVersion } = readiness.report
  assert.equal(isReady, true)
  assert.equal(localVersion, null)
  assert.equal(
    detail,
    'The engine of guide@1 is started again. Meanwhile 1 model answers over upstreams.',
  )
  readiness.ready('guide@1')
  assert.equal(readiness.report.detail, 'guide@1 answers.')
})

test('a server without a model of its own is ready as soon as one is declared', () => {
  let declared = 0
  const readiness = new Readiness(() => declared)
  readiness.withoutLocal()
  assert.equal(readiness.report.isReady, false)
  assert.match(readiness.report.detail, /No model is declared/)
  readiness.withoutLocal(1)
  assert.equal(readiness.report.isReady, true)
  assert.match(readiness.report.detail, /1 of the library can be loaded/)
  readiness.withoutLocal()
  declared = 2
  assert.equal(readiness.report.isReady, true)
  assert.match(readiness.report.detail, /^2 models answer over upstreams/)
  readiness.drain()
  readiness.ready('guide@1')
  assert.equal(readiness.report.isReady, false)
  assert.equal(readiness.report.phase, 'draining')
})
