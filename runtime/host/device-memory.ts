// The memory that engines compute in: the machine's own, or that of the GPU they are on.
//
// Knows: which is whose. Does not know: engines.

import type { DeviceChoice } from '../ort/device-choice.ts'
import { listGpus } from './gpus.ts'
import { readMachineMemory } from './machine-memory.ts'
import type { MachineMemory } from './machine-memory.ts'

/** The driver's tool takes some 20 ms to some hundred; all who ask within this share an answer. */
const FRESH_MS = 1_000

/** @returns what reads it; that throws an Error saying why a GPU can't be looked at */
export function deviceMemory({ kind, index }: DeviceChoice): () => Promise<MachineMemory> {
  // What WebGPU computes with lies in this process's memory between calls, and there is no asking a GPU of any maker.
  if (kind !== 'cuda') return () => Promise.resolve(readMachineMemory())
  let untilMs = -Infinity
  let answer: Promise<MachineMemory>
  return () => {
    const nowMs = performance.now()
    if (nowMs > untilMs) {
      untilMs = nowMs + FRESH_MS
      answer = readGpuMemory(index)
    }
    return answer
  }
}

async function readGpuMemory(index: number): Promise<MachineMemory> {
  const gpus = await listGpus()
  const gpu = gpus.find((each) => each.index === index)
  if (gpu) return { totalBytes: gpu.totalBytes, freeBytes: gpu.freeBytes }
  const there = gpus.map((each) => `cuda:${each.index} (${each.name})`).join(', ') || 'none'
  throw new Error(`HEADRACE_DEVICE is cuda:${index}, and the GPUs here are: ${there}.`)
}
