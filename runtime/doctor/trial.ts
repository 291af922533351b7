// A product of two small matrices on a device: the shortest thing that goes through all that a forward pass does.
//
// Knows: how to ask for it, and what comes out. Does not know: what might be missing.

import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'

import { GraphWriter } from '../graph/onnx.ts'
import type { Ort } from '../ort/api.ts'
import { Cells } from '../ort/cells.ts'
import { openDevice } from '../ort/device.ts'
import type { DeviceChoice } from '../ort/device-choice.ts'
import { Session } from '../ort/session.ts'
import type { Tensor } from '../ort/session.ts'

const SIZE = 8
const FILE = 'product.onnx'

/** @returns what went wrong, in a sentence; null where nothing did */
export async function tryDevice(ort: Ort, choice: DeviceChoice): Promise<string | null> {
  const folder = await mkdtemp(path.join(tmpdir(), 'headrace-doctor-'))
  try {
    await drawProduct(folder)
    return multiply(ort, choice, path.join(folder, FILE))
  } catch (error) {
    return error instanceof Error ? error.message : String(error)
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
}

async function drawProduct(folder: string): Promise<void> {
  const graph = await GraphWriter.create(folder, null)
  for (const name of ['left', 'right']) graph.input(name, 'f32', [SIZE, SIZE])
  graph.op('MatMul', ['left', 'right'], {}, 'product')
  graph.output('product', 'f32', [SIZE, SIZE])
  await graph.finish(FILE)
}

function multiply(ort: Ort, choice: DeviceChoice, file: string): string | null {
  const session = new Session(ort, file, { threads: 1, device: openDevice(ort, choice) })
  const cells = () => new Cells(SIZE * SIZE * 4, Float32Array)
  const [left, right, product] = [cells(), cells(), cells()]
  for (let i = 0; i < SIZE * SIZE; i++) {
    left.view[i] = i % 7
    right.view[i] = i % 5
  }
  const tensor = ({ address }: { address: bigint }) => session.tensor('f32', [SIZE, SIZE], address)
  const given = new Map<string, Tensor>([
    ['left', tensor(left)],
    ['right', tensor(right)],
  ])
  const wanted = new Map([['product', tensor(product)]])
  const call = session.prepare(given, wanted)
  call.run()
  call.close()
  for (const each of [...given.values(), ...wanted.values()]) session.release(each)
  session.close()
  for (let row = 0; row < SIZE; row++) {
    for (let column = 0; column < SIZE; column++) {
      let sum = 0
      for (let i = 0; i < SIZE; i++)
        sum += left.view[row * SIZE + i]! * right.view[i * SIZE + column]!
      // Whole numbers below 2¹¹, which every device's product has exactly.
      if (product.view[row * SIZE + column] !== sum) {
        return `A product of matrices came out wrong: ${product.view[row * SIZE + column]} for ${sum}.`
      }
    }
  }
  return null
}
