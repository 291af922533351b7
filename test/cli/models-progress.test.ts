import assert from 'node:assert/strict'
import { test } from 'node:test'

import { createReporter } from '../../cli/progress.ts'
import type { Progress, ProgressMode } from '../../cli/progress.ts'

function setUp(mode: ProgressMode | null, isTTY = false) {
  const written = { stdout: '', stderr: '' }
  let now = 0
  const reporter = createReporter(
    mode,
    {
      stdout: { write: (text) => (written.stdout += text) },
      stderr: { write: (text) => (written.stderr += text), isTTY, columns: 60 },
    },
    () => now,
  )
  return { written, reporter, pass: (ms: number) => (now += ms) }
}

const half: Progress = { phase: 'download', item: 'model.gguf', fraction: 0.5, bytes: 12_345_678 }
const done = { type: 'done', version: 'm@1', folder: '/m/1', how: 'imported' } as const

test('on a terminal there is a bar, which makes way for what is said', () => {
  const { written, reporter } = setUp(null, true)
  reporter.progress(half)
  assert.match(written.stderr, /█{12}░{12} Downloading model\.gguf {2}50 %/)
  assert.ok(written.stderr.split('\r\u001B[2K').every((line) => line.length < 60))
  written.stderr = ''
  reporter.note('by the way')
  assert.equal(written.stderr, '\r\u001B[2Kby the way\n')
  reporter.done(done, 'm@1 is imported')
  assert.equal(written.stdout, 'm@1 is imported\n')
})

test('into a log goes a line for each file, and one in a while', () => {
  const { written, reporter, pass } = setUp(null)
  reporter.progress(half)
  pass(5_000)
  reporter.progress({ ...half, fraction: 0.6 })
  pass(6_000)
  reporter.progress({ ...half, fraction: 0.7 })
  reporter.progress({ phase: 'convert', item: 'm', fraction: 0 })
  assert.deepEqual(written.stderr.split('\n'), [
    'Downloading model.gguf  50 %  12.3 MB',
    'Downloading model.gguf  70 %  12.3 MB',
    'Converting m  0 %',
    '',
  ])
})

test('a parent process reads JSON lines, the last of which is the outcome', () => {
  const { written, reporter, pass } = setUp('json')
  reporter.progress(half)
  reporter.progress({ ...half, fraction: 0.6 })
  pass(250)
  reporter.progress({ ...half, fraction: 0.7 })
  reporter.note('given up')
  reporter.done(done, 'm@1 is imported')
  assert.deepEqual(
    written.stdout
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line)),
    [
      { type: 'progress', ...half },
      { type: 'progress', ...half, fraction: 0.7 },
      { type: 'note', text: 'given up' },
      done,
    ],
  )
  assert.equal(written.stderr, '')
})
