// A PEFT adapter_config.json, as far as it can be honoured.
//
// What an adapter computes follows from a few fields and the tensors beside it. A field that would change the result in a
// way we do not build (DoRA, biases, weights that were decomposed before training) is refused by its name: the adapter would
// merge, and answer otherwise than it was trained to. All that is wrong with a file is told at once.
//
// Knows: the file's fields. Does not know: tensors, the base.

import { join } from 'node:path'

import { CheckpointError } from './checkpoint.ts'
import { Fields, show } from './fields.ts'
import { isRecord, readJson } from './json-file.ts'

const ADAPTER_CONFIG_FILE = 'adapter_config.json'

export interface AdapterConfig {
  /** what it was trained on, in its author's words */
  baseName: string | null
  rank: number
  alpha: number
  /** scaled by alpha / √rank instead of alpha / rank */
  isRankStabilised: boolean
  /** names of modules, or the ends of such, with a rank or an alpha of their own; the first that fits counts */
  ranks: [module: string, rank: number][]
  alphas: [module: string, alpha: number][]
  /** names of modules, or the ends of such; null where the file says it by a pattern */
  targets: string[] | null
  /** every module that is meant by `targets` is adapted, in all layers */
  isWhole: boolean
  /** modules that were trained as a whole (modules_to_save) */
  saved: string[]
}

// Ways of initialising that take something out of the base's weights: what is added fits only what was left.
const CHANGES_BASE = /^(pissa|olora|corda|loftq)/i
const MODULE = /^[\w.]+$/

/** @throws CheckpointError naming every field that is missing, wrong or can't be honoured */
export async function readAdapterConfig(folder: string): Promise<AdapterConfig> {
  const config = await readJson(folder, ADAPTER_CONFIG_FILE, 'it says how the adapter is applied')
  const where = join(folder, ADAPTER_CONFIG_FILE)
  if (config.peft_type !== 'LORA') {
    throw new CheckpointError(
      `${where}: peft_type is ${show(config.peft_type)}, supported is "LORA"`,
    )
  }
  const fields = new Fields(where, (name) => config[name])
  refuseVariations(fields)
  const targets = readNames(fields, 'target_modules')
  const adapter: AdapterConfig = {
    baseName: fields.text('base_model_name_or_path'),
    rank: fields.count('r'),
    alpha: fields.positive('lora_alpha'),
    isRankStabilised: fields.flag('use_rslora', false),
    ranks: readPattern(fields, 'rank_pattern'),
    alphas: readPattern(fields, 'alpha_pattern'),
    targets,
    isWhole:
      targets !== null &&
      !isGiven(fields.raw('layers_to_transform')) &&
      !isGiven(fields.raw('exclude_modules')),
    saved: readNames(fields, 'modules_to_save') ?? [],
  }
  fields.check()
  return adapter
}

/** What an adapter's product is multiplied by before it is added to a module's output. */
export function scaleOf(config: AdapterConfig, module: string): number {
  const rank = rankOf(config, module)
  const alpha = patternOf(config.alphas, module) ?? config.alpha
  return alpha / (config.isRankStabilised ? Math.sqrt(rank) : rank)
}

export const rankOf = (config: AdapterConfig, module: string): number =>
  patternOf(config.ranks, module) ?? config.rank

/** Whether a module's full name is meant by a name as PEFT takes it: the whole, or the end behind a dot. */
export const isMeant = (module: string, name: string): boolean =>
  module === name || module.endsWith(`.${name}`)

function patternOf(pattern: [string, number][], module: string): number | null {
  return pattern.find(([name]) => isMeant(module, name))?.[1] ?? null
}

function refuseVariations(fields: Fields): void {
  const refused: [name: string, why: string][] = [
    ['use_dora', 'DoRA also scales each output by a learned magnitude, which is not supported'],
    ['use_qalora', 'it pools its inputs, which is not supported'],
    ['fan_in_fan_out', 'it is for weights stored as [in, out], which no supported family has'],
    ['lora_bias', 'biases of an adapter are not supported'],
  ]
  for (const [name, why] of refused) {
    if (fields.flag(name, false)) fields.refuse(`${name} is true: ${why}`)
  }
  const bias = fields.text('bias') ?? 'none'
  if (bias !== 'none') {
    fields.refuse(`bias is "${bias}", supported is "none": trained biases are not supported`)
  }
  const start = fields.raw('init_lora_weights')
  if (typeof start === 'string' && CHANGES_BASE.test(start)) {
    fields.refuse(
      `init_lora_weights is "${start}", which changes the base before training: save it converted to a plain LoRA ` +
        '(path_initial_model_for_weight_conversion of save_pretrained)',
    )
  }
  for (const name of ['layer_replication', 'target_parameters', 'trainable_token_indices']) {
    const value = fields.raw(name)
    if (isGiven(value)) fields.refuse(`${name} is ${show(value)}, which is not supported`)
  }
}

/** @returns null where there are none, or where the field is a text: a pattern in Python's notation, or "all-linear" */
function readNames(fields: Fields, name: string): string[] | null {
  const names = fields.raw(name)
  if (names === undefined || typeof names === 'string') return null
  if (Array.isArray(names) && names.every((item) => typeof item === 'string')) return names
  fields.refuse(`${name} is ${show(names)}, allowed is a text or a list of texts`)
  return null
}

function readPattern(fields: Fields, name: string): [string, number][] {
  const pattern = fields.raw(name) ?? {}
  if (!isRecord(pattern)) {
    fields.refuse(`${name} is ${show(pattern)}, allowed is an object`)
    return []
  }
  const values = fields.within(name)
  return Object.keys(pattern).map((module) => {
    if (!MODULE.test(module)) {
      fields.refuse(`${name} has ${show(module)}, allowed are names of modules without patterns`)
    }
    return [module, values.positive(module)]
  })
}

/** PEFT writes what is not used as null, as an empty list, or as an empty object. */
function isGiven(value: unknown): boolean {
  if (typeof value === 'object' && value !== null) return Object.keys(value).length > 0
  return value !== undefined && value !== null
}
