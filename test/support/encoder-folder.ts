// Folders as transformers, sentence-transformers and Optimum leave them, made of random weights.

import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'

import type { EncoderFamily } from '../../models/encoder.ts'
import type { MemoryEncoder } from './random-encoder.ts'
import { writeSafetensors } from './safetensors.ts'
import type { TensorToWrite } from './safetensors.ts'

interface FolderOptions {
  /** the class that config.json names */
  architecture: string
  config?: Record<string, unknown>
  /** our name of a tensor → the file's */
  rename?: (name: string) => string
  /** modules.json and 1_Pooling/config.json */
  sentences?: { modules: string[]; pooling: Record<string, unknown>; maxTokens?: number }
}

export async function writeEncoderFolder(
  folder: string,
  checkpoint: MemoryEncoder,
  { architecture, config = {}, rename = (name) => name, sentences }: FolderOptions,
): Promise<void> {
  await mkdir(folder, { recursive: true })
  const json = (name: string, value: unknown) =>
    writeFile(join(folder, name), JSON.stringify(value))
  await json('config.json', {
    ...configOf(checkpoint),
    architectures: [architecture],
    ...config,
  })
  await json('tokenizer.json', checkpoint.tokenizer.json)
  await json('tokenizer_config.json', checkpoint.tokenizer.config)
  const tensors: Record<string, TensorToWrite> = {}
  for (const { name, shape } of checkpoint.tensors.values()) {
    tensors[rename(name)] = { shape, values: checkpoint.weights.get(name)! }
  }
  await writeSafetensors(join(folder, 'model.safetensors'), tensors)
  if (!sentences) return
  const modules = sentences.modules.map((type, idx) => ({
    idx,
    name: String(idx),
    path: idx === 0 ? '' : `${idx}_${type}`,
    type: `sentence_transformers.models.${type}`,
  }))
  await json('modules.json', modules)
  await mkdir(join(folder, '1_Pooling'))
  await json('1_Pooling/config.json', sentences.pooling)
  if (sentences.maxTokens !== undefined) {
    await json('sentence_bert_config.json', { max_seq_length: sentences.maxTokens })
  }
}

const MODEL_TYPES: Record<EncoderFamily, string> = {
  bert: 'bert',
  roberta: 'xlm-roberta',
  distilbert: 'distilbert',
  onnx: 'modernbert',
}

/** config.json as transformers writes it. */
function configOf({ architecture: a }: MemoryEncoder): Record<string, unknown> {
  const model_type = MODEL_TYPES[a.family]
  if (a.family === 'distilbert') {
    return {
      model_type,
      activation: a.activation,
      dim: a.hiddenSize,
      hidden_dim: a.intermediateSize,
      n_heads: a.heads,
      n_layers: a.layers,
      max_position_embeddings: a.contextLength,
      vocab_size: a.vocabSize,
      pad_token_id: 0,
    }
  }
  return {
    model_type,
    hidden_act: a.activation === 'gelu_tanh' ? 'gelu_new' : a.activation,
    hidden_size: a.hiddenSize,
    intermediate_size: a.intermediateSize,
    num_attention_heads: a.heads,
    num_hidden_layers: a.layers,
    max_position_embeddings: a.family === 'roberta' ? a.contextLength + 2 : a.contextLength,
    vocab_size: a.vocabSize,
    type_vocab_size: a.segments,
    layer_norm_eps: a.normEpsilon,
    pad_token_id: 0,
  }
}
