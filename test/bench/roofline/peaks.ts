// What a device reads and computes in a second at most, as ONNX Runtime's own kernels get at it.
//
// One row times a matrix larger than any cache reads the matrix once and does next to nothing with it; a product of two
// square matrices computes and hardly reads. Data sheets promise more than either.
//
// Knows: two small graphs. Does not know: models.

import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'

import { GraphWriter } from '../../../runtime/graph/onnx.ts'
import type { Ort } from '../../../runtime/ort/api.ts'
import { Cells } from '../../../runtime/ort/cells.ts'
import type { ComputeDevice } from '../../../runtime/ort/device.ts'
import { ELEMENT_BYTES, Session } from '../../../runtime/ort/session.ts'
import type { Tensor } from '../../../runtime/ort/session.ts'

export interface Peaks {
  bytesPerSecond: number
  operationsPerSecond: number
}

interface PeakOptions {
  ort: Ort
  device: ComputeDevice
  floats: 'f32' | 'f16'
  threads: number
  signal: AbortSignal
}

// 256 MiB at f32: several times the largest cache of a processor or a GPU.
const ROW_SIZE = 8192
// On a processor a second's worth; a GPU needs more to be filled.
const SQUARE = { cpu: 1024, webgpu: 2048, cuda: 8192 }
const DATA_FILE = 'matrix.data'
const FILE = 'matrix.onnx'
const FLOAT = 1

export async function measurePeaks(options: PeakOptions): Promise<Peaks> {
  const { floats, device } = options
  const reading = await inFolder(async (folder) => {
    await drawRow(folder, floats)
    return fastest(folder, ROW_SIZE, options)
  })
  const size = SQUARE[device.choice.kind]
  const computing = await inFolder(async (folder) => {
    await drawSquare(folder, floats, size)
    return fastest(folder, size, options)
  })
  return {
    bytesPerSecond: (1e3 * ROW_SIZE ** 2 * ELEMENT_BYTES[floats]) / reading,
    operationsPerSecond: (1e3 * 2 * size ** 3) / computing,
  }
}

/** given [1, n], result [1, n]: the row times a matrix */
async function drawRow(folder: string, floats: 'f32' | 'f16'): Promise<void> {
  const { graph, row } = await startGraph(folder, floats, ROW_SIZE)
  await finishGraph(graph, graph.op('MatMul', [row, 'matrix']), ROW_SIZE)
}

/** the same of a matrix made from the row, which no optimiser can compute beforehand, times a matrix, one row of it */
async function drawSquare(folder: string, floats: 'f32' | 'f16', size: number): Promise<void> {
  const { graph, row } = await startGraph(folder, floats, size)
  const product = graph.op('MatMul', [graph.op('Add', ['matrix', row]), 'matrix'])
  const last = graph.op('ReduceMax', [product, graph.ints(0)], { keepdims: 1 })
  await finishGraph(graph, last, size)
}

async function startGraph(folder: string, floats: 'f32' | 'f16', size: number) {
  const graph = await GraphWriter.create(folder, DATA_FILE, floats)
  const values = new Float32Array(size ** 2)
  for (let i = 0; i < values.length; i++) values[i] = ((i % 251) - 125) / 4096
  await graph.weights('matrix', [size, size], values)
  graph.input('given', 'f32', [1, size])
  const row = floats === 'f32' ? 'given' : graph.op('Cast', ['given'], { to: FLOAT16 })
  return { graph, row }
}

async function finishGraph(graph: GraphWriter, result: string, size: number): Promise<void> {
  graph.op('Cast', [result], { to: FLOAT }, 'result')
  graph.output('result', 'f32', [1, size])
  await graph.finish(FILE)
}

/** @returns milliseconds of the fastest of a few runs: nothing but the device was in its way */
async function fastest(folder: string, size: number, options: PeakOptions): Promise<number> {
  const { ort, threads, device, signal } = options
  const session = new Session(ort, path.join(folder, FILE), { threads, device })
  const [given, result] = [new Cells(4 * size, Float32Array), new Cells(4 * size, Float32Array)]
  given.view.fill(1 / 64)
  const tensor = ({ address }: { address: bigint }) => session.tensor('f32', [1, size], address)
  const inputs = new Map<string, Tensor>([['given', tensor(given)]])
  const outputs = new Map<string, Tensor>([['result', tensor(result)]])
  const call = session.prepare(inputs, outputs)
  let least = Infinity
  for (let run = 0; run < 12; run++) {
    const startMs = performance.now()
    call.run()
    least = Math.min(least, performance.now() - startMs)
    await new Promise(setImmediate)
    signal.throwIfAborted()
  }
  call.close()
  for (const each of [...inputs.values(), ...outputs.values()]) session.release(each)
  session.close()
  return least
}

async function inFolder<T>(measure: (folder: string) => Promise<T>): Promise<T> {
  const folder = await mkdtemp(path.join(tmpdir(), 'headrace-peaks-'))
  try {
    return await measure(folder)
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
}

/** TensorProto.DataType.FLOAT16 */
const FLOAT16 = 10
