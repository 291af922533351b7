// Writes a checkpoint as a Hugging Face folder with F32 weights, for a reader that is not ours.
//
// Format of safetensors: eight bytes of the header's length, the header as JSON padded with spaces, the data.

import { mkdir, open, writeFile } from 'node:fs/promises'
import { join } from 'node:path'

import type { Checkpoint } from '../../../runtime/checkpoint/checkpoint.ts'

const BYTES = Float32Array.BYTES_PER_ELEMENT
const ALIGNMENT = 8

export async function writeSafetensorsFolder(
  checkpoint: Checkpoint,
  folder: string,
): Promise<void> {
  await mkdir(folder, { recursive: true })
  const names = [...checkpoint.tensors.keys()].sort()
  let end = 0
  const entries = names.map((name) => {
    const { shape } = checkpoint.tensors.get(name)!
    const start = end
    end += shape.reduce((product, extent) => product * extent, BYTES)
    return [name, { dtype: 'F32', shape, data_offsets: [start, end] }] as const
  })
  const json = Buffer.from(
    JSON.stringify({ __metadata__: { format: 'pt' }, ...Object.fromEntries(entries) }),
  )
  const header = Buffer.alloc(Math.ceil(json.length / ALIGNMENT) * ALIGNMENT, ' ')
  json.copy(header)
  const length = Buffer.alloc(8)
  length.writeBigUInt64LE(BigInt(header.length))

  await using file = await open(join(folder, 'model.safetensors'), 'w')
  await file.writeFile(length)
  await file.writeFile(header)
  for (const name of names) {
    const values = await checkpoint.read(name)
    await file.writeFile(new Uint8Array(values.buffer, values.byteOffset, values.byteLength))
  }
  await writeFile(join(folder, 'tokenizer.json'), JSON.stringify(tokenizerJson(checkpoint)))
  await writeFile(join(folder, 'config.json'), JSON.stringify(llamaConfig(checkpoint)))
}

/** As readers older than tokenizers 0.20 know it: merges as texts, not as pairs. */
function tokenizerJson({ tokenizer }: Checkpoint): object {
  const { model, ...rest } = tokenizer.json as { model?: { merges?: (string | string[])[] } }
  const merges = model?.merges?.map((pair) => (typeof pair === 'string' ? pair : pair.join(' ')))
  return { ...rest, model: { ...model, merges } }
}

function llamaConfig({ architecture, tokenizer }: Checkpoint) {
  const { family, ropeScaling, slidingWindow, qkvBias } = architecture
  if (family !== 'llama' || ropeScaling || slidingWindow !== null || qkvBias) {
    throw new Error(`Only plain llama models are written here; this is a ${family}.`)
  }
  return {
    architectures: ['LlamaForCausalLM'],
    model_type: 'llama',
    torch_dtype: 'float32',
    hidden_act: 'silu',
    attention_bias: false,
    vocab_size: architecture.vocabSize,
    hidden_size: architecture.hiddenSize,
    intermediate_size: architecture.intermediateSize,
    num_hidden_layers: architecture.layers,
    num_attention_heads: architecture.heads,
    num_key_value_heads: architecture.kvHeads,
    max_position_embeddings: architecture.contextLength,
    rms_norm_eps: architecture.normEpsilon,
    rope_theta: architecture.ropeTheta,
    tie_word_embeddings: architecture.tiedEmbeddings,
    bos_token_id: tokenizer.bosTokenId,
    eos_token_id: tokenizer.endTokenIds,
  }
}
