// That the bench of GPUs runs where one can't be used: it says so and is no failure; on the processor its passes are the same.

import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'

const BENCH = fileURLToPath(new URL('gpu.ts', import.meta.url))
const run = promisify(execFile)

test('where the device can not be used it says what is missing, and ends well', async () => {
  const { stdout } = await run(process.execPath, [BENCH, '--device', 'cuda:99'])
  assert.match(stdout, /^cuda:99 can't be used:$/m)
  assert.match(stdout, /^Nothing is measured\./m)
})

test('on the processor decode and prefill are set against what was measured of it', async () => {
  const options = '--device cpu --shape tiny --steps 2 --rows 1 --lengths 64'.split(' ')
  const { stdout } = await run(process.execPath, [BENCH, ...options])
  assert.match(stdout, /^- Memory: [\d.]+ GB\/s/m)
  assert.match(stdout, /^\| decode +\| +1 \| +64 \|( +[\d.]+ \|){4}$/m)
  assert.match(stdout, /^\| prefill +\| +64 \| +0 \|( +[\d.]+ \|){4}$/m)
})
