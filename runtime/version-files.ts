// The files of a version folder that have nothing to do with its graph.

import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'

import type { DecoderManifest, EncoderManifest } from '../models/manifest.ts'
import type { CheckpointTokenizer } from './checkpoint/checkpoint.ts'
import type { EncoderTokenizer } from './checkpoint/encoder-checkpoint.ts'

const TOKENIZER_FILE = 'tokenizer.json'
const TOKENIZER_CONFIG_FILE = 'tokenizer_config.json'

/** @returns what the manifest says of them */
export async function writeTokenizer(
  folder: string,
  { json, config, bosTokenId, endTokenIds }: CheckpointTokenizer,
): Promise<DecoderManifest['tokenizer']> {
  await write(folder, json, config)
  return { file: TOKENIZER_FILE, configFile: TOKENIZER_CONFIG_FILE, bosTokenId, endTokenIds }
}

/** @returns what the manifest says of them */
export async function writeEncoderTokenizer(
  folder: string,
  { json, config, padTokenId }: EncoderTokenizer,
): Promise<EncoderManifest['tokenizer']> {
  await write(folder, json, config)
  return { file: TOKENIZER_FILE, configFile: TOKENIZER_CONFIG_FILE, padTokenId }
}

async function write(folder: string, json: object, config: object): Promise<void> {
  await writeFile(join(folder, TOKENIZER_FILE), JSON.stringify(json))
  await writeFile(join(folder, TOKENIZER_CONFIG_FILE), JSON.stringify(config))
}
