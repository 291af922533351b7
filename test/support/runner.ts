// A runner over a graph that is drawn from a checkpoint into a throwaway folder.

import type { TestContext } from 'node:test'

import type { DecoderManifest, Precision } from '../../models/manifest.ts'
import type { Checkpoint } from '../../runtime/checkpoint/checkpoint.ts'
import { OnnxRunner } from '../../runtime/engine/onnx-runner.ts'
import { writeDecoder } from '../../runtime/graph/export.ts'
import { loadOrt } from '../../runtime/ort/api.ts'
import type { ComputeDevice } from '../../runtime/ort/device.ts'
import { makeFolder } from './folder.ts'
import { defer } from './lasting.ts'

type Size = { slots?: number; capacity?: number; maxPrefill?: number; device?: ComputeDevice }

export async function startRunner(
  t: TestContext,
  checkpoint: Checkpoint,
  precision: Precision,
  size: Size = {},
): Promise<OnnxRunner> {
  return (await startRunnerIn(t, checkpoint, precision, size)).runner
}

/** The same with the folder that the graph lies in. */
export async function startRunnerIn(
  t: TestContext,
  checkpoint: Checkpoint,
  precision: Precision,
  { slots = 8, capacity = 128, maxPrefill = 64, device }: Size = {},
): Promise<{ runner: OnnxRunner; folder: string }> {
  const folder = await makeFolder(t, 'graph')
  const { parameters, ...graph } = await writeDecoder(checkpoint, folder, { precision, threads: 2 })
  const manifest: DecoderManifest = {
    kind: 'generate',
    format: 1,
    model: 'random',
    version: '1',
    created: '2026-01-01T00:00:00.000Z',
    source: { kind: 'folder', reference: 'memory', revision: null, sha256: '' },
    licence: null,
    architecture: checkpoint.architecture,
    parameters,
    precision,
    contextLength: checkpoint.architecture.contextLength,
    tokenizer: { file: '', configFile: '', bosTokenId: null, endTokenIds: [0] },
    chatTemplate: null,
    sampling: {},
    graph,
    files: {},
  }
  const runner = new OnnxRunner(loadOrt(), folder, manifest, {
    slots,
    capacity,
    maxPrefill,
    threads: 2,
    ...(device && { device }),
  })
  defer(t, () => runner.close())
  return { runner, folder }
}
