// The device of a GPU, as far as it goes without one: memory, copies and the budget through a stand-in for CUDA's library,
// and what is said where the provider is missing. That its kernels compute is for `make bench-gpu` on a GPU.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { TestContext } from 'node:test'

import { loadOrt } from '../../../runtime/ort/api.ts'
import { CudaDevice } from '../../../runtime/ort/cuda-device.ts'
import { formatDevice, parseDevice } from '../../../runtime/ort/device-choice.ts'
import type { ComputeDevice } from '../../../runtime/ort/device.ts'
import { OutOfMemory } from '../../../runtime/ort/memory.ts'
import { FAKE_TOTAL_BYTES, makeCudart } from '../../support/fake-cudart.ts'
import { randomCheckpoint, TINY } from '../../support/random-checkpoint.ts'
import { startRunner } from '../../support/runner.ts'

async function openCuda(t: TestContext): Promise<CudaDevice | null> {
  const library = await makeCudart(t)
  if (library !== null) return new CudaDevice(loadOrt(), 0, library)
  t.skip('there is no C compiler')
  return null
}

test('devices are written as they are read', () => {
  for (const text of ['cpu', 'cuda:0', 'cuda:17', 'webgpu']) {
    assert.equal(formatDevice(parseDevice(text)!), text)
  }
  assert.deepEqual(parseDevice('cuda'), { kind: 'cuda', index: 0 })
  for (const text of [
    '',
    'gpu',
    'cuda:',
    'cuda:x',
    'cuda:100',
    'cpu:1',
    'webgpu:0',
    'CUDA',
    'cudax',
  ]) {
    assert.equal(parseDevice(text), undefined, text)
  }
})

test('memory of a GPU is counted, given back, and ends', async (t) => {
  const device = await openCuda(t)
  if (!device) return
  assert.equal(device.freeBytes(), FAKE_TOTAL_BYTES)
  const memory = device.allocate(FAKE_TOTAL_BYTES / 2)
  assert.equal(device.freeBytes(), FAKE_TOTAL_BYTES / 2)
  assert.throws(() => device.allocate(FAKE_TOTAL_BYTES), OutOfMemory)
  memory.free()
  assert.equal(device.freeBytes(), FAKE_TOTAL_BYTES)
})

test('a GPU that is not there is said so', async (t) => {
  const library = await makeCudart(t)
  if (library === null) return t.skip('there is no C compiler')
  assert.throws(
    () => new CudaDevice(loadOrt(), 3, library),
    /cuda:3 can't be used: cudaSetDevice: invalid device ordinal/,
  )
})

test('a runner in half precision keeps its cache in memory of the device, and moves it there', async (t) => {
  const cuda = await openCuda(t)
  if (!cuda) return
  const { cpuMemory } = loadOrt()
  // Its memory, and the processor to compute: the stand-in's memory is this machine's.
  const device: ComputeDevice = {
    choice: cuda.choice,
    mostSlots: null,
    addTo: () => {},
    allocate: (bytes) => {
      const memory = cuda.allocate(bytes)
      return {
        address: memory.address,
        where: cpuMemory,
        copyRows: (copy) => memory.copyRows(copy),
        free: () => memory.free(),
      }
    },
    settle: () => cuda.settle(),
    freeBytes: () => cuda.freeBytes(),
  }
  const checkpoint = randomCheckpoint(TINY)
  const size = { slots: 4, capacity: 64 }
  const tokens = Array.from({ length: 30 }, (_, i) => (i * 37 + 5) % TINY.vocabSize)
  const [there, here] = [
    await startRunner(t, checkpoint, 'fp16', { ...size, device }),
    await startRunner(t, checkpoint, 'fp16', size),
  ]
  const { layers, kvHeads, headDim } = TINY
  const cacheBytes = 2 * layers * size.slots * kvHeads * size.capacity * headDim * 2
  assert.equal(cuda.freeBytes(), FAKE_TOTAL_BYTES - cacheBytes)
  for (const runner of [there, here]) {
    runner.prefill(2, tokens, 0, 'none')
    runner.copy(2, 0, 20)
    runner.prefill(0, tokens.slice(20, 29), 20, 'none')
    runner.decode([tokens[29]!], [29], 'logits')
  }
  assert.deepEqual(there.logits(0), here.logits(0))
  assert.ok(there.logits(0).every(Number.isFinite))
})

test('a session on a GPU without the provider fails in words that say where to look', async (t) => {
  const device = await openCuda(t)
  if (!device) return
  await assert.rejects(
    startRunner(t, randomCheckpoint(TINY), 'fp16', { device }),
    /CUDA provider can't be used: .*`headrace runtime doctor` says what is missing/s,
  )
})
