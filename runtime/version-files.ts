// The files of a version folder that have nothing to do with its graph.

import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'

import type { Manifest } from '../models/manifest.ts'
import type { CheckpointTokenizer } from './checkpoint/checkpoint.ts'

const TOKENIZER_FILE = 'tokenizer.json'
const TOKENIZER_CONFIG_FILE = 'tokenizer_config.json'

/** @returns what the manifest says of them */
export async function writeTokenizer(
  folder: string,
  { json, config, bosTokenId, endTokenIds }: CheckpointTokenizer,
): Promise<Manifest['tokenizer']> {
  await writeFile(join(folder, TOKENIZER_FILE), JSON.stringify(json))
  await writeFile(join(folder, TOKENIZER_CONFIG_FILE), JSON.stringify(config))
  return { file: TOKENIZER_FILE, configFile: TOKENIZER_CONFIG_FILE, bosTokenId, endTokenIds }
}
