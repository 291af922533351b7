// A host whose engines are to compute on a GPU: whose memory it counts, and what it refuses before anything is started.
//
// There is no GPU here; what is told of one stands in for the driver's tool.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { TestContext } from 'node:test'

import { RuntimeError } from '../../../runtime/client.ts'
import { listGpus } from '../../../runtime/host/gpus.ts'
import { makeNvidiaSmi } from '../../support/nvidia-smi.ts'
import { addRandomVersion } from '../../support/random-version.ts'
import { startTestRuntime } from '../../support/runtime.ts'

const MIB = 2 ** 20

function setPath(t: TestContext, path: string): void {
  const before = process.env['PATH']
  process.env['PATH'] = path
  t.after(() => (process.env['PATH'] = before))
}

test('a GPU is what its host has memory of, and budgets are shares of that', async (t) => {
  setPath(t, await makeNvidiaSmi(t))
  const { client } = await startTestRuntime(t, { device: 'cuda:1' })
  const { device, memory } = await client.stats()
  assert.equal(device, 'cuda')
  assert.equal(memory.totalBytes, 23_034 * MIB)
  assert.equal(memory.freeBytes, 1_034 * MIB)
  assert.equal(memory.budgetBytes, Math.floor(0.8 * 23_034 * MIB))
})

test('a version without kernels on the GPU is refused with what to do', async (t) => {
  setPath(t, await makeNvidiaSmi(t))
  const { client, dataDir } = await startTestRuntime(t, { device: 'cuda' })
  const version = await addRandomVersion(dataDir, { name: 'whole', precision: 'fp32' })
  for (const ask of [() => client.fit(version), () => client.load(version)]) {
    await assert.rejects(ask, (error: unknown) => {
      assert.ok(error instanceof RuntimeError)
      assert.equal(error.code, 'version_unusable')
      assert.match(error.message, /precision is fp32.*--precision fp16 or int4-fp16/)
      return true
    })
  }
})

test('a host does not start on a GPU that is not there', async (t) => {
  setPath(t, await makeNvidiaSmi(t))
  await assert.rejects(
    startTestRuntime(t, { device: 'cuda:7' }),
    /HEADRACE_DEVICE is cuda:7, and the GPUs here are: cuda:0 \(NVIDIA H200\), cuda:1 \(NVIDIA L4\)/,
  )
  await assert.rejects(startTestRuntime(t, { device: 'cuda:x' }), /device: cuda:x; allowed is cpu/)
})

test('a driver that fails is quoted, and one that is missing is named', async (t) => {
  const words = "NVIDIA-SMI has failed because it couldn't communicate with the NVIDIA driver."
  setPath(t, await makeNvidiaSmi(t, `echo "${words}"; exit 9`))
  await assert.rejects(listGpus(), new RegExp(`nvidia-smi failed: ${words}`))
  setPath(t, '/nowhere')
  await assert.rejects(listGpus(), /There is no nvidia-smi in PATH/)
})
