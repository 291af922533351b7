// A runner over an encoder's graph that is drawn from a checkpoint into a throwaway folder.

import type { TestContext } from 'node:test'

import type { EncoderManifest, Precision } from '../../models/manifest.ts'
import type { EncoderCheckpoint } from '../../runtime/checkpoint/encoder-checkpoint.ts'
import { openEncoderRunner } from '../../runtime/encoder/open-runner.ts'
import type { Runner } from '../../runtime/encoder/runner.ts'
import { drawEncoder } from '../../runtime/graph/encoder.ts'
import { loadOrt } from '../../runtime/ort/api.ts'
import { makeFolder } from './folder.ts'
import { defer } from './lasting.ts'

export async function startEncoderRunner(
  t: TestContext,
  checkpoint: EncoderCheckpoint,
  precision: Precision,
): Promise<Runner> {
  const folder = await makeFolder(t, 'encoder')
  const graph = await drawEncoder(checkpoint, folder, { precision })
  const manifest: EncoderManifest = {
    format: 1,
    kind: checkpoint.output.kind,
    model: 'random',
    version: '1',
    created: '2026-01-01T00:00:00.000Z',
    source: { kind: 'folder', reference: 'memory', revision: null, sha256: '' },
    licence: null,
    architecture: checkpoint.architecture,
    parameters: 1,
    precision,
    contextLength: checkpoint.contextLength,
    tokenizer: { file: '', configFile: '', padTokenId: 0 },
    output: checkpoint.output,
    graph,
    files: {},
  }
  const runner = openEncoderRunner(loadOrt(), folder, manifest, { threads: 2, maxCells: 1024 })
  defer(t, () => runner.close())
  return runner
}
