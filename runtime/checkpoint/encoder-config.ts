// config.json of an encoder: what it computes, which head stands on it, and what that says.
//
// A field that would change the computation in a way that isn't built (relative positions, layers that are shared) is
// refused rather than passed over, because the model would load and answer nonsense.
//
// Knows: config.json. Does not know: files, tensors, pooling (sentence-transformers.ts).

import type { EncoderArchitecture, EncoderFamily, EncoderOutput } from '../../models/encoder.ts'
import { CheckpointError } from './checkpoint.ts'
import type { EncoderHead } from './encoder-checkpoint.ts'
import { Fields } from './fields.ts'
import { isRecord } from './json-file.ts'
import type { JsonRecord } from './json-file.ts'

/** model_type → family */
const MODEL_TYPES = new Map<string, EncoderFamily>([
  ['bert', 'bert'],
  ['roberta', 'roberta'],
  ['xlm-roberta', 'roberta'],
  ['camembert', 'roberta'],
  ['distilbert', 'distilbert'],
])

const ENCODER_MODEL_TYPES = [...MODEL_TYPES.keys()]

// Rows of the position table that come before the first position: RoBERTa counts from behind its padding id.
const POSITIONS_SET_ASIDE = 2

type Task = 'embed' | 'text' | 'token'

export function familyOf(config: JsonRecord): EncoderFamily | null {
  return MODEL_TYPES.get(String(config.model_type)) ?? null
}

/**
 * What is computed, of a checkpoint whose graph is to be drawn.
 * @param where names the file in errors
 * @throws CheckpointError naming all fields that are missing or unsupported
 */
export function readEncoderArchitecture(config: JsonRecord, where: string): EncoderArchitecture {
  const family = familyOf(config)
  if (family === null) {
    throw new CheckpointError(
      `${where} describes a model of the family ${JSON.stringify(config.model_type ?? null)}; supported are ` +
        `${ENCODER_MODEL_TYPES.join(', ')}, and any whose folder holds an ONNX export (onnx/model.onnx)`,
    )
  }
  const fields = new Fields(where, (name) => config[name])
  const isDistil = family === 'distilbert'
  const positions = fields.count('max_position_embeddings')
  const heads = fields.count(isDistil ? 'n_heads' : 'num_attention_heads')
  const hiddenSize = fields.count(isDistil ? 'dim' : 'hidden_size')
  if (hiddenSize % heads > 0) {
    fields.refuse(`the hidden size ${hiddenSize} is not a multiple of the ${heads} heads`)
  }
  const positionType = fields.raw('position_embedding_type') ?? 'absolute'
  if (positionType !== 'absolute') {
    fields.refuse(
      `position_embedding_type is ${JSON.stringify(positionType)}, supported is "absolute"`,
    )
  }
  for (const name of ['is_decoder', 'add_cross_attention']) {
    if (fields.flag(name, false)) fields.refuse(`${name} is true, supported is false`)
  }
  const architecture: EncoderArchitecture = {
    family,
    layers: fields.count(isDistil ? 'n_layers' : 'num_hidden_layers'),
    hiddenSize,
    intermediateSize: fields.count(isDistil ? 'hidden_dim' : 'intermediate_size'),
    heads,
    vocabSize: fields.count('vocab_size'),
    contextLength: family === 'roberta' ? positions - POSITIONS_SET_ASIDE : positions,
    segments: isDistil ? 0 : fields.count('type_vocab_size', 2),
    normEpsilon: fields.positive('layer_norm_eps', 1e-12),
    activation: readActivation(fields, isDistil ? 'activation' : 'hidden_act'),
  }
  fields.check()
  return architecture
}

function readActivation(fields: Fields, name: string): EncoderArchitecture['activation'] {
  const value: unknown = fields.raw(name) ?? 'gelu'
  switch (value) {
    case 'gelu':
    case 'relu':
      return value
    case 'gelu_new':
    case 'gelu_pytorch_tanh':
    case 'gelu_fast':
      return 'gelu_tanh'
    default:
      fields.refuse(
        `${name} is ${JSON.stringify(value)}, supported are "gelu", "gelu_new", "gelu_pytorch_tanh", "gelu_fast" and "relu"`,
      )
      return 'gelu'
  }
}

/** The head of a drawn graph; its shape is its family's. */
export function headOf(family: EncoderFamily, output: EncoderOutput): EncoderHead | null {
  if (output.kind === 'embed') return null
  if (output.kind === 'token-classify') {
    return { reads: 'each', dense: null, labels: output.labels.length }
  }
  const labels = output.kind === 'rerank' ? 1 : output.labels.length
  return { reads: 'first', dense: family === 'distilbert' ? 'Relu' : 'Tanh', labels }
}

/**
 * What the model is for, by its class: one label for a text or a pair is a score, several are a classification. Classes
 * without such a head make embeddings; how those are pooled is not the configuration's to say.
 * @throws CheckpointError for other classes
 */
export function readEncoderOutput(
  config: JsonRecord,
  where: string,
): Exclude<EncoderOutput, { kind: 'embed' }> | { kind: 'embed' } {
  switch (taskOf(config, where)) {
    case 'embed':
      return { kind: 'embed' }
    case 'token':
      return { kind: 'token-classify', labels: labelsOf(config, where) }
    case 'text': {
      const labels = labelsOf(config, where)
      if (labels.length === 1) return { kind: 'rerank' }
      const isMultiLabel = config.problem_type === 'multi_label_classification'
      if (config.problem_type === 'regression') {
        throw new CheckpointError(
          `${where} has problem_type "regression" and ${labels.length} labels; supported are classifications, and one score`,
        )
      }
      return { kind: 'classify', labels, isMultiLabel }
    }
  }
}

function taskOf({ architectures }: JsonRecord, where: string): Task {
  const name: unknown = Array.isArray(architectures) ? architectures[0] : undefined
  if (name === undefined) return 'embed'
  if (typeof name === 'string') {
    if (name.endsWith('ForSequenceClassification')) return 'text'
    if (name.endsWith('ForTokenClassification')) return 'token'
    if (name.endsWith('Model') || name.endsWith('ForMaskedLM')) return 'embed'
  }
  throw new CheckpointError(
    `${where} names the architecture ${JSON.stringify(name)}; supported are …Model, …ForMaskedLM, ` +
      '…ForSequenceClassification and …ForTokenClassification',
  )
}

/** transformers leaves the labels of its default, two without a name, out of the file. */
function labelsOf({ id2label, num_labels: count = 2 }: JsonRecord, where: string): string[] {
  if (isRecord(id2label)) {
    const ids = Object.keys(id2label).sort((a, b) => Number(a) - Number(b))
    const labels = ids.map((id) => String(id2label[id]))
    if (labels.length > 0 && ids.every((id, index) => id === String(index))) return labels
  } else if (id2label === undefined && typeof count === 'number' && count > 0) {
    return Array.from({ length: count }, (_, id) => `LABEL_${id}`)
  }
  throw new CheckpointError(
    `${where}: id2label is ${JSON.stringify(id2label)?.slice(0, 100)}; needed is a label for each of the ids 0, 1, …`,
  )
}
