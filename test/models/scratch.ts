// A folder that goes away with its test, and version folders made of a few bytes.

import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { TestContext } from 'node:test'

import type { DecoderDraft } from '../../models/manifest.ts'
import type { ModelStore, StoredVersion } from '../../models/store.ts'

export async function scratchFolder(t: TestContext): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'headrace-models-'))
  t.after(() => rm(folder, { recursive: true, force: true }))
  return folder
}

export function draftOf(model: string, changes: Partial<DecoderDraft> = {}): DecoderDraft {
  return {
    kind: 'generate',
    format: 1,
    model,
    source: { kind: 'folder', reference: '/checkpoint', revision: null, sha256: 'a'.repeat(64) },
    licence: 'Apache-2.0',
    architecture: {
      family: 'llama',
      layers: 2,
      hiddenSize: 64,
      intermediateSize: 128,
      heads: 4,
      kvHeads: 2,
      headDim: 16,
      vocabSize: 512,
      contextLength: 256,
      normEpsilon: 1e-5,
      ropeTheta: 10_000,
      ropeScaling: null,
      tiedEmbeddings: true,
      qkvBias: false,
      qkNorm: false,
      slidingWindow: null,
    },
    parameters: 1000,
    precision: 'int8',
    contextLength: 256,
    tokenizer: {
      file: 'tokenizer.json',
      configFile: 'tokenizer_config.json',
      bosTokenId: null,
      endTokenIds: [2],
    },
    chatTemplate: '{{ messages }}',
    sampling: { temperature: 0.7 },
    graph: { file: 'model.onnx', dataFile: 'model.onnx.data', candidates: 64, kvType: 'f32' },
    ...changes,
  }
}

/** Publishes a version whose files hold a few bytes each. */
export async function publishVersion(
  store: ModelStore,
  model: string,
  changes: Partial<DecoderDraft> = {},
): Promise<StoredVersion> {
  const staging = await store.createStaging(model)
  for (const name of ['model.onnx', 'model.onnx.data', 'tokenizer.json', 'tokenizer_config.json']) {
    await writeFile(join(staging, name), `content of ${name}`)
  }
  return store.publish(staging, draftOf(model, changes))
}
