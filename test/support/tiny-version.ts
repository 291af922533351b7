// Versions that real engines load in a moment: tiny decoders with random weights, published as imports are.

import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'

import { MANIFEST_FORMAT } from '../../models/manifest.ts'
import { ModelStore } from '../../models/store.ts'
import { writeDecoder } from '../../runtime/graph/export.ts'
import { randomCheckpoint, TINY } from './random-checkpoint.ts'
import type { Architecture } from '../../models/manifest.ts'

const TEMPLATE = '{% for message in messages %}{{ message.content }}{% endfor %}'

export interface TinyOptions {
  /** other weights, other answers */
  seed?: number
  architecture?: Architecture
}

/** @returns its full id, the next of its model */
export async function addTinyVersion(
  dataDir: string,
  model: string,
  { seed = 1, architecture = TINY }: TinyOptions = {},
): Promise<string> {
  const store = new ModelStore(dataDir)
  const folder = await store.createStaging(model)
  const checkpoint = randomCheckpoint(architecture, { seed })
  const options = { precision: 'fp32', threads: 1 } as const
  const { parameters, ...graph } = await writeDecoder(checkpoint, folder, options)
  const { tokenizer } = checkpoint
  await writeFile(join(folder, 'tokenizer.json'), JSON.stringify(tokenizer.json))
  await writeFile(join(folder, 'tokenizer_config.json'), JSON.stringify(tokenizer.config))
  const { id } = await store.publish(folder, {
    format: MANIFEST_FORMAT,
    kind: 'generate',
    model,
    source: { kind: 'folder', reference: 'memory', revision: null, sha256: '0'.repeat(64) },
    licence: null,
    architecture,
    parameters,
    precision: 'fp32',
    contextLength: architecture.contextLength,
    tokenizer: {
      file: 'tokenizer.json',
      configFile: 'tokenizer_config.json',
      bosTokenId: null,
      // None is ever drawn before an answer is as long as it may be.
      endTokenIds: [architecture.vocabSize - 1],
    },
    chatTemplate: TEMPLATE,
    sampling: { temperature: 0 },
    graph,
  })
  return id
}
