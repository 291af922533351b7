// A version folder with random weights, of any shape: what a host loads for real, without a checkpoint on disk.
//
// Its answers are noise; its memory, its loads and its passes are those of a model of its size. It has a token for each
// letter, and no chat template.

import { mkdir, readdir, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'

import { writeManifest } from '../../models/manifest.ts'
import type { Architecture, Precision } from '../../models/manifest.ts'
import { writeDecoder } from '../../runtime/graph/export.ts'
import { randomCheckpoint, TINY } from './random-checkpoint.ts'

interface RandomVersion {
  name: string
  seed?: number
  architecture?: Architecture
  precision?: Precision
}

/** @returns the full id of version 1 */
export async function addRandomVersion(
  dataDir: string,
  { name, seed = 1, architecture = TINY, precision = 'fp32' }: RandomVersion,
): Promise<string> {
  const folder = join(dataDir, 'models', name, '1')
  await mkdir(folder, { recursive: true })
  const checkpoint = randomCheckpoint(architecture, { seed })
  const { parameters, ...graph } = await writeDecoder(checkpoint, folder, { precision, threads: 2 })
  const { json, config, ...tokenizer } = checkpoint.tokenizer
  await writeFile(join(folder, 'tokenizer.json'), JSON.stringify(json))
  await writeFile(join(folder, 'tokenizer_config.json'), JSON.stringify(config))
  const sha256 = '0'.repeat(64)
  const files: Record<string, { sha256: string; bytes: number }> = {}
  for (const file of await readdir(folder)) {
    files[file] = { sha256, bytes: (await stat(join(folder, file))).size }
  }
  await writeManifest(folder, {
    format: 1,
    kind: 'generate',
    model: name,
    version: '1',
    created: '2026-01-01T00:00:00.000Z',
    source: { kind: 'folder', reference: 'random', revision: null, sha256 },
    licence: null,
    architecture,
    parameters,
    precision,
    contextLength: architecture.contextLength,
    tokenizer: {
      file: 'tokenizer.json',
      configFile: 'tokenizer_config.json',
      bosTokenId: tokenizer.bosTokenId,
      endTokenIds: tokenizer.endTokenIds,
    },
    chatTemplate: null,
    sampling: {},
    graph,
    files,
  })
  return `${name}@1`
}

/** Random tokens for as long as is asked for: nothing of noise is an end. */
export function randomPrompt(length: number): number[] {
  return Array.from({ length }, (_, at) => 1 + ((at * 7) % 90))
}
