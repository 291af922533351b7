// A gateway over a real runtime with one small model of each kind that reads texts: random weights, real engines.

import { join } from 'node:path'
import type { TestContext } from 'node:test'

import { LocalBackend } from '../../gateway/backends/local.ts'
import { ModelStore } from '../../models/store.ts'
import type { Precision } from '../../models/manifest.ts'
import { createRuntimeClient } from '../../runtime/client.ts'
import { importVersion } from '../../runtime/import.ts'
import { startRuntime } from '../../runtime/main.ts'
import { writeEncoderFolder } from './encoder-folder.ts'
import { startGateway } from './gateway.ts'
import { libraryRoutes } from './library-routes.ts'
import type { NamedVersion } from './library-routes.ts'
import { randomEncoder } from './random-encoder.ts'
import type { MemoryEncoder } from './random-encoder.ts'
import { recordingLogger, temporaryFolder } from './runtime.ts'

export const LABELS = ['bad', 'good', 'neutral']
const TAGS = ['O', 'B-PER', 'I-PER', 'B-LOC', 'I-LOC']

const id2label = (labels: string[]) => ({
  id2label: Object.fromEntries(labels.map((label, id) => [String(id), label])),
})

/** Names of a head's tensors as BERT's own classes have them. */
const bertName = (name: string) =>
  name.replace('head.dense', 'bert.pooler.dense').replace('head.out', 'classifier')

const FOLDERS = {
  vectors: () => ({
    checkpoint: randomEncoder({ seed: 3 }),
    architecture: 'BertModel',
    sentences: {
      modules: ['Transformer', 'Pooling', 'Normalize'],
      pooling: { pooling_mode_mean_tokens: true, pooling_mode_cls_token: false },
      maxTokens: 48,
    },
  }),
  ranker: () => ({
    checkpoint: randomEncoder({ seed: 4, head: { reads: 'first', dense: 'Tanh', labels: 1 } }),
    architecture: 'BertForSequenceClassification',
    config: id2label(['LABEL_0']),
    rename: bertName,
  }),
  moods: () => ({
    checkpoint: randomEncoder({ seed: 5, head: { reads: 'first', dense: 'Tanh', labels: 3 } }),
    architecture: 'BertForSequenceClassification',
    config: id2label(LABELS),
    rename: bertName,
  }),
  names: () => ({
    checkpoint: randomEncoder({ seed: 6, head: { reads: 'each', dense: null, labels: 5 } }),
    architecture: 'BertForTokenClassification',
    config: id2label(TAGS),
    rename: bertName,
  }),
}
export type EncoderModel = keyof typeof FOLDERS

export async function startEncoderGateway(t: TestContext, ...models: EncoderModel[]) {
  const dataDir = await temporaryFolder(t)
  const store = new ModelStore(dataDir)
  const versions: NamedVersion[] = []
  const checkpoints: Partial<Record<EncoderModel, MemoryEncoder>> = {}
  for (const model of models) {
    const { checkpoint, ...options } = FOLDERS[model]()
    checkpoints[model] = checkpoint
    const path = join(dataDir, 'checkpoints', model)
    await writeEncoderFolder(path, checkpoint, options)
    const { id, manifest } = await importFolder(store, model, path)
    versions.push({ id, created: manifest.created, task: manifest.kind })
  }
  const runtime = await startRuntime(
    { dataDir, address: `unix:${dataDir}/runtime.sock`, drainMs: 1_000, threads: 1 },
    recordingLogger([]),
  )
  const client = createRuntimeClient({ address: runtime.address })
  const local = new LocalBackend({ runtime: client, loadWaitMs: 20_000 })
  const gateway = await startGateway(t, {
    settings: { bodyLimitBytes: 8 << 20 },
    deps: { routes: libraryRoutes(versions, local) },
  })
  t.after(async () => {
    await client.close()
    await runtime.close()
  })
  return { ...gateway, runtimeClient: client, checkpoints, dataDir }
}

export async function importFolder(
  store: ModelStore,
  model: string,
  path: string,
  precision: Precision = 'fp32',
) {
  const folder = await store.createStaging(model)
  const source = {
    kind: 'folder' as const,
    reference: path,
    revision: null,
    sha256: '0'.repeat(64),
  }
  const draft = await importVersion({
    path,
    folder,
    model,
    precision,
    source,
    licence: null,
    threads: 1,
  })
  return store.publish(folder, draft)
}
