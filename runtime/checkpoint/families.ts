// Hugging Face's config.json as an Architecture.
//
// What a family computes is fixed by its name plus a few fields; a field that would change the
// computation in a way we do not build (a partial rotary, a bias, layers of different kinds) is
// refused rather than passed over, because the model would load and answer nonsense.
//
// Adding a family: give it a line in MODEL_CLASSES and in FAMILIES of models/manifest.ts, read its
// own fields here, name its tensors in required-tensors.ts, and build its graph.
//
// Knows: config.json. Does not know: files, tensors, tokenizers.

import { FAMILIES } from '../../models/manifest.ts'
import type { Architecture, Family } from '../../models/manifest.ts'
import { CheckpointError } from './checkpoint.ts'
import { Fields } from './fields.ts'
import { isRecord } from './json-file.ts'
import type { JsonRecord } from './json-file.ts'

const MODEL_CLASSES: Record<Family, string> = {
  llama: 'LlamaForCausalLM',
  qwen2: 'Qwen2ForCausalLM',
  qwen3: 'Qwen3ForCausalLM',
  mistral: 'MistralForCausalLM',
}

/** Fields of models with several experts, which some families carry under their dense name. */
const EXPERT_COUNTS = ['num_local_experts', 'num_experts', 'n_routed_experts', 'moe_num_experts']

/**
 * @param hasHead whether the checkpoint stores `lm_head.weight`; decides where the configuration
 *   does not say
 * @param where names the file in errors
 * @throws CheckpointError naming the family, or all fields that are missing, contradictory or
 *   unsupported
 */
export function readArchitecture(
  config: JsonRecord,
  hasHead: boolean,
  where: string,
): Architecture {
  const family = familyOf(config, where)
  refuseOtherKinds(config, where)
  const fields = new Fields(where, (name) => config[name])
  refuseVariations(fields, config)

  const heads = fields.count('num_attention_heads')
  const hiddenSize = fields.count('hidden_size')
  const kvHeads = fields.count('num_key_value_heads', family === 'llama' ? heads : undefined)
  if (heads % kvHeads > 0) {
    fields.refuse(
      `num_attention_heads ${heads} is not a multiple of num_key_value_heads ${kvHeads}`,
    )
  }
  if (!fields.has('head_dim') && hiddenSize % heads > 0) {
    fields.refuse(`hidden_size ${hiddenSize} is not a multiple of num_attention_heads ${heads}`)
  }
  const headDim = fields.count('head_dim', hiddenSize / heads)
  if (headDim % 2 > 0) fields.refuse(`head_dim is ${headDim}; rotary needs an even one`)
  const layers = fields.count('num_hidden_layers')
  const architecture: Architecture = {
    family,
    layers,
    hiddenSize,
    intermediateSize: fields.count('intermediate_size'),
    heads,
    kvHeads,
    headDim,
    vocabSize: fields.count('vocab_size'),
    contextLength: fields.count('max_position_embeddings'),
    normEpsilon: fields.positive('rms_norm_eps'),
    ...readRope(fields),
    tiedEmbeddings: fields.flag('tie_word_embeddings', !hasHead),
    qkvBias: family === 'qwen2',
    qkNorm: family === 'qwen3',
    slidingWindow: readSlidingWindow(fields, family, layers),
  }
  fields.check()
  return architecture
}

function familyOf(config: JsonRecord, where: string): Family {
  const modelClass: unknown = Array.isArray(config.architectures)
    ? config.architectures[0]
    : undefined
  const byClass = FAMILIES.find((family) => MODEL_CLASSES[family] === modelClass)
  const byType = FAMILIES.find((family) => family === config.model_type)
  const family = config.model_type === undefined ? byClass : byType
  if (family === undefined || (modelClass !== undefined && byClass !== family)) {
    const supported = FAMILIES.map((name) => `${name} (${MODEL_CLASSES[name]})`).join(', ')
    throw new CheckpointError(
      `${where} describes a model of the family ${JSON.stringify(config.model_type ?? null)}, ` +
        `architecture ${JSON.stringify(modelClass ?? null)}; supported are ${supported}`,
    )
  }
  return family
}

/** Checkpoints of a supported family whose weights are not what they seem. */
function refuseOtherKinds(config: JsonRecord, where: string): void {
  const quantisation = config.quantization_config
  if (isRecord(quantisation)) {
    throw new CheckpointError(
      `${where} has a quantization_config (${JSON.stringify(quantisation.quant_method ?? 'unnamed')}): its weights are ` +
        'quantised already; supported are F32, F16 and BF16 weights, or a GGUF file',
    )
  }
  for (const name of EXPERT_COUNTS) {
    const experts = config[name]
    if (typeof experts === 'number' && experts > 1) {
      throw new CheckpointError(
        `${where} has ${name} = ${experts}: it is a mixture of experts; only dense models are supported`,
      )
    }
  }
}

function refuseVariations(fields: Fields, config: JsonRecord): void {
  const activation = fields.raw('hidden_act')
  if (activation !== undefined && activation !== 'silu') {
    fields.refuse(`hidden_act is ${JSON.stringify(activation)}, supported is "silu"`)
  }
  for (const name of ['attention_bias', 'mlp_bias']) {
    if (fields.flag(name, false)) fields.refuse(`${name} is true, supported is false`)
  }
  const rope = isRecord(config.rope_parameters) ? config.rope_parameters : {}
  const rotary = fields.raw('partial_rotary_factor') ?? rope.partial_rotary_factor ?? 1
  if (rotary !== 1) {
    fields.refuse(`partial_rotary_factor is ${JSON.stringify(rotary)}, supported is 1`)
  }
}

/**
 * Older files have rope_theta and rope_scaling (whose type was first called `type`), newer ones put
 * all of it into rope_parameters.
 */
function readRope(fields: Fields): Pick<Architecture, 'ropeTheta' | 'ropeScaling'> {
  const isNew = fields.has('rope_parameters')
  const name = isNew ? 'rope_parameters' : 'rope_scaling'
  const parameters = fields.raw(name)
  const rope = fields.within(name)
  const ropeTheta =
    isNew && rope.has('rope_theta')
      ? rope.positive('rope_theta')
      : fields.positive('rope_theta', 10_000)
  if (parameters === undefined) return { ropeTheta, ropeScaling: null }
  if (!isRecord(parameters)) {
    fields.refuse(`${name} is ${JSON.stringify(parameters)}, allowed is an object`)
    return { ropeTheta, ropeScaling: null }
  }
  const type = rope.raw('rope_type') ?? rope.raw('type') ?? 'default'
  if (type === 'default') return { ropeTheta, ropeScaling: null }
  if (type === 'linear') {
    return { ropeTheta, ropeScaling: { type, factor: rope.positive('factor') } }
  }
  if (type === 'llama3') {
    return {
      ropeTheta,
      ropeScaling: {
        type,
        factor: rope.positive('factor'),
        lowFreqFactor: rope.positive('low_freq_factor'),
        highFreqFactor: rope.positive('high_freq_factor'),
        originalContextLength: rope.count('original_max_position_embeddings'),
      },
    }
  }
  fields.refuse(
    `the type of ${name} is ${JSON.stringify(type)}, supported are "default", "linear" and "llama3"`,
  )
  return { ropeTheta, ropeScaling: null }
}

/** The window, where all layers share one; null where every layer sees everything. */
function readSlidingWindow(fields: Fields, family: Family, layers: number): number | null {
  const isQwen = family === 'qwen2' || family === 'qwen3'
  if (family === 'llama' || !fields.has('sliding_window')) return null
  if (isQwen && !fields.flag('use_sliding_window', false)) return null
  const window = fields.count('sliding_window')
  const sliding = isQwen ? slidingLayers(fields, layers) : layers
  if (sliding === 0) return null
  if (sliding < layers) {
    fields.refuse(
      `${sliding} of ${layers} layers have a sliding window; supported are all of them or none`,
    )
  }
  return window
}

/** Newer files list each layer's kind; in older ones the lower max_window_layers see everything. */
function slidingLayers(fields: Fields, layers: number): number {
  const kinds = fields.raw('layer_types')
  if (Array.isArray(kinds)) return kinds.filter((kind) => kind === 'sliding_attention').length
  return Math.max(0, layers - fields.count('max_window_layers', undefined, 0))
}
