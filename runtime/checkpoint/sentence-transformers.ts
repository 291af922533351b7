// What sentence-transformers keeps beside a model: how tokens become one vector, and how long a text may be.
//
// Where a folder says nothing, its model's vectors are what sentence-transformers makes of it: the mean of all tokens, of
// whatever length it comes out.
//
// Knows: modules.json, 1_Pooling/config.json, sentence_bert_config.json. Does not know: tensors.

import { join } from 'node:path'

import type { Pooling } from '../../models/encoder.ts'
import { CheckpointError } from './checkpoint.ts'
import { isRecord, readJsonIfThere, readTextIfThere } from './json-file.ts'

interface SentenceSettings {
  pooling: Pooling
  isNormalised: boolean
  /** most tokens of a text; null where nothing says */
  maxTokens: number | null
}

const POOLING_FLAGS: [flag: string, pooling: Pooling][] = [
  ['pooling_mode_cls_token', 'cls'],
  ['pooling_mode_mean_tokens', 'mean'],
  ['pooling_mode_lasttoken', 'last'],
  ['pooling_mode_max_tokens', 'max'],
]

/** @throws CheckpointError where a module is named that would change the vectors and isn't known */
export async function readSentenceSettings(folder: string): Promise<SentenceSettings> {
  const modules = await readModules(folder)
  const limits = await readJsonIfThere(folder, 'sentence_bert_config.json')
  const most = limits?.max_seq_length
  return {
    pooling: await readPooling(folder, modules?.pooling ?? '1_Pooling'),
    isNormalised: modules?.isNormalised ?? false,
    maxTokens: typeof most === 'number' && Number.isInteger(most) && most > 0 ? most : null,
  }
}

async function readModules(folder: string) {
  const text = await readTextIfThere(folder, 'modules.json')
  if (text === null) return null
  const file = join(folder, 'modules.json')
  let modules: unknown
  try {
    modules = JSON.parse(text)
  } catch (cause) {
    throw new CheckpointError(`${file} is not JSON: ${String(cause)}`, { cause })
  }
  if (!Array.isArray(modules)) throw new CheckpointError(`${file} does not hold a list of modules`)
  let pooling: string | null = null
  let isNormalised = false
  for (const module of modules) {
    const type = isRecord(module) ? String(module.type).split('.').at(-1) : ''
    if (type === 'Normalize') isNormalised = true
    else if (type === 'Pooling') pooling = isRecord(module) ? String(module.path) : null
    else if (type !== 'Transformer') {
      throw new CheckpointError(
        `${file} names the module ${JSON.stringify(type)}; supported are Transformer, Pooling and Normalize`,
      )
    }
  }
  return { pooling, isNormalised }
}

async function readPooling(folder: string, path: string): Promise<Pooling> {
  // What was fetched lies in one folder, where the path is a part of the name.
  const config =
    (await readJsonIfThere(join(folder, path), 'config.json')) ??
    (await readJsonIfThere(folder, `${path}.config.json`))
  if (config === null) return 'mean'
  const file = join(folder, path, 'config.json')
  const flags = Object.keys(config).filter(
    (name) => name.startsWith('pooling_mode_') && config[name] === true,
  )
  const known = POOLING_FLAGS.filter(([flag]) => flags.includes(flag)).map(([, pooling]) => pooling)
  const named = POOLING_FLAGS.find(([, pooling]) => pooling === config.pooling_mode)?.[1]
  const [only = named] = known
  if (only !== undefined && flags.length <= 1) return only
  throw new CheckpointError(
    `${file} asks for ${flags.join(' and ') || JSON.stringify(config.pooling_mode ?? 'nothing')}; supported is one of ` +
      POOLING_FLAGS.map(([flag]) => flag).join(', '),
  )
}
