// Decoder graphs as others export them, over the weights of a random checkpoint: the inputs, outputs and operators of ONNX
// Runtime GenAI's model builder and onnx-community (GroupQueryAttention), and of Optimum (plain operators, a cache that
// grows by Concat).

import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'

import type { Checkpoint } from '../../runtime/checkpoint/checkpoint.ts'
import { float, GraphWriter } from '../../runtime/graph/onnx.ts'
import { transpose } from '../../runtime/graph/quantise.ts'
import { ropeTables } from '../../runtime/graph/rope.ts'
import { configOf, tokenizerJson } from '../runtime/checkpoint/tiny-models.ts'

export interface ExportStyle {
  attention: 'gqa' | 'growing'
  /** name of the file; weights are beside it, with `dataEnding` */
  file?: string
  dataEnding?: string
  /** the graph has position_ids (always so where attention grows) */
  hasPositions?: boolean
  /** the graph has num_logits_to_keep */
  keeps?: boolean
  /** cache and logits in half precision */
  isHalf?: boolean
}

const CAST = { f32: 1, i32: 6, bool: 9, f16: 10 }

/** Writes the graph and its weights into a folder. */
export async function writeExportedDecoder(
  folder: string,
  checkpoint: Checkpoint,
  style: ExportStyle,
): Promise<void> {
  const { file = 'model.onnx', dataEnding = '_data' } = style
  const graph = await GraphWriter.create(folder, `${file}${dataEnding}`)
  await new ExportWriter(graph, checkpoint, style).write()
  await graph.finish(file)
}

/** The files beside a graph: config.json or genai_config.json, and the tokenizer. */
export async function writeCompanions(
  folder: string,
  { architecture: a }: Checkpoint,
  kind: 'transformers' | 'genai',
  file = 'model.onnx',
): Promise<void> {
  const genai = {
    model: {
      bos_token_id: 1,
      eos_token_id: [0],
      pad_token_id: 0,
      context_length: a.contextLength,
      type: a.family,
      vocab_size: a.vocabSize,
      decoder: {
        filename: file,
        head_size: a.headDim,
        hidden_size: a.hiddenSize,
        num_attention_heads: a.heads,
        num_hidden_layers: a.layers,
        num_key_value_heads: a.kvHeads,
        inputs: { input_ids: 'input_ids', past_key_names: 'past_key_values.%d.key' },
        outputs: { logits: 'logits', present_key_names: 'present.%d.key' },
      },
    },
    search: { do_sample: true, temperature: 0.6, top_p: 0.9, top_k: 50 },
  }
  const [name, config] =
    kind === 'genai' ? ['genai_config.json', genai] : ['config.json', configOf(a)]
  await writeFile(join(folder, name), JSON.stringify(config))
  await writeFile(join(folder, 'tokenizer.json'), JSON.stringify(tokenizerJson()))
  await writeFile(join(folder, 'tokenizer_config.json'), '{"eos_token":"<|endoftext|>"}')
}

class ExportWriter {
  readonly #g: GraphWriter
  readonly #checkpoint: Checkpoint
  readonly #style: ExportStyle
  #stream = ''

  constructor(graph: GraphWriter, checkpoint: Checkpoint, style: ExportStyle) {
    this.#g = graph
    this.#checkpoint = checkpoint
    this.#style = style
  }

  async write(): Promise<void> {
    const g = this.#g
    const a = this.#checkpoint.architecture
    const { attention, hasPositions, keeps, isHalf } = this.#style
    g.input('input_ids', 'i64', ['batch_size', 'sequence_length'])
    g.input('attention_mask', 'i64', ['batch_size', 'total_sequence_length'])
    if (hasPositions || attention === 'growing') {
      g.input('position_ids', 'i64', ['batch_size', 'sequence_length'])
    }
    if (keeps) g.input('num_logits_to_keep', 'i64', [])
    const { cos, sin } = ropeTables(a, a.contextLength)
    await this.#weight('cos_cache', [a.contextLength, a.headDim / 2], cos)
    await this.#weight('sin_cache', [a.contextLength, a.headDim / 2], sin)
    if (attention === 'gqa') this.#lengths()
    else this.#masks()
    const embedding = await this.#checkpoint.read('model.embed_tokens.weight')
    await this.#weight('embedding', [a.vocabSize, a.hiddenSize], embedding)
    this.#stream = g.op('Gather', ['embedding', 'input_ids'], { axis: 0 })
    for (let layer = 0; layer < a.layers; layer++) await this.#layer(layer)
    let rows = await this.#norm('model.norm.weight')
    if (keeps) {
      // [batch, -keep:]
      const from = g.op('Neg', [g.op('Unsqueeze', ['num_logits_to_keep', g.ints(0)])])
      rows = g.op('Slice', [rows, from, g.ints(2 ** 31), g.ints(1)])
    }
    const head = a.tiedEmbeddings ? 'model.embed_tokens.weight' : 'lm_head.weight'
    const logits = await this.#linear(head, rows, isHalf ? undefined : 'logits')
    if (isHalf) g.op('Cast', [logits], { to: CAST.f16 }, 'logits')
    g.output('logits', isHalf ? 'f16' : 'f32', ['batch_size', 'sequence_length', a.vocabSize])
  }

  async #layer(layer: number): Promise<void> {
    const g = this.#g
    const name = `model.layers.${layer}`
    const normed = await this.#norm(`${name}.input_layernorm.weight`)
    const parts: string[] = []
    for (const part of ['q', 'k', 'v']) {
      const product = await this.#linear(`${name}.self_attn.${part}_proj.weight`, normed)
      parts.push(await this.#biased(product, `${name}.self_attn.${part}_proj.bias`))
    }
    const [q, k, v] = parts as [string, string, string]
    const attended =
      this.#style.attention === 'gqa' ? this.#gqa(layer, q, k, v) : this.#growing(layer, q, k, v)
    const output = await this.#linear(`${name}.self_attn.o_proj.weight`, attended)
    this.#stream = g.op('Add', [this.#stream, output])
    const middle = await this.#norm(`${name}.post_attention_layernorm.weight`)
    const gate = await this.#linear(`${name}.mlp.gate_proj.weight`, middle)
    const up = await this.#linear(`${name}.mlp.up_proj.weight`, middle)
    const active = g.op('Mul', [gate, g.op('Sigmoid', [gate])])
    const down = await this.#linear(`${name}.mlp.down_proj.weight`, g.op('Mul', [active, up]))
    this.#stream = g.op('Add', [this.#stream, down])
  }

  /** What GroupQueryAttention takes for lengths, from the mask. */
  #lengths(): void {
    const g = this.#g
    const sum = g.op('ReduceSum', ['attention_mask', g.ints(1)], { keepdims: 0 })
    g.op('Cast', [g.op('Sub', [sum, g.ints(1)])], { to: CAST.i32 }, 'seqlens_k')
    const total = g.op('Gather', [g.op('Shape', ['attention_mask']), g.ints(1)], { axis: 0 })
    g.op('Cast', [total], { to: CAST.i32 }, 'total_seq_len')
  }

  #gqa(layer: number, q: string, k: string, v: string): string {
    const { heads, kvHeads } = this.#checkpoint.architecture
    const [past, present] = this.#cachePorts(layer)
    const output = `attention.${layer}`
    this.#g.node(
      'com.microsoft',
      'GroupQueryAttention',
      [q, k, v, ...past, 'seqlens_k', 'total_seq_len', 'cos_cache', 'sin_cache'],
      [output, ...present],
      { num_heads: heads, kv_num_heads: kvHeads, do_rotary: 1 },
    )
    return output
  }

  #cachePorts(layer: number): [past: [string, string], present: [string, string]] {
    const { kvHeads, headDim } = this.#checkpoint.architecture
    const type = this.#style.isHalf ? 'f16' : 'f32'
    const names = (prefix: string): [string, string] => [
      `${prefix}.${layer}.key`,
      `${prefix}.${layer}.value`,
    ]
    const past = names('past_key_values')
    const present = names('present')
    for (const name of past) {
      this.#g.input(name, type, ['batch_size', kvHeads, 'past_sequence_length', headDim])
    }
    for (const name of present) {
      this.#g.output(name, type, ['batch_size', kvHeads, 'total_sequence_length', headDim])
    }
    return [past, present]
  }

  /** cos and sin of each position, and 0 or a large negative number for each pair of query and key. */
  #masks(): void {
    const g = this.#g
    for (const part of ['cos', 'sin']) {
      const rows = g.op('Gather', [`${part}_cache`, 'position_ids'], { axis: 0 })
      g.op('Unsqueeze', [rows, g.ints(1)], {}, part)
    }
    const extent = (tensor: string) =>
      g.op('Squeeze', [
        g.op('Gather', [g.op('Shape', [tensor]), g.ints(1)], { axis: 0 }),
        g.ints(0),
      ])
    const total = extent('attention_mask')
    const past = g.op('Sub', [total, extent('input_ids')])
    const zero = g.op('Squeeze', [g.ints(0), g.ints(0)])
    const one = g.op('Squeeze', [g.ints(1), g.ints(0)])
    const keys = g.op('Range', [zero, total, one])
    const queries = g.op('Unsqueeze', [g.op('Range', [past, total, one]), g.ints(1)])
    const isBefore = g.op('LessOrEqual', [keys, queries])
    const isThere = g.op('Unsqueeze', [
      g.op('Cast', ['attention_mask'], { to: CAST.bool }),
      g.ints(1, 2, 3),
    ])
    const isSeen = g.op('And', [isBefore, isThere])
    g.op('Where', [isSeen, g.scalar(0), g.scalar(-1e30)], {}, 'bias')
  }

  #growing(layer: number, q: string, k: string, v: string): string {
    const g = this.#g
    const { heads, kvHeads, headDim } = this.#checkpoint.architecture
    const [past, present] = this.#cachePorts(layer)
    const split = (tensor: string, count: number) =>
      g.op('Transpose', [g.op('Reshape', [tensor, g.ints(0, 0, count, headDim)])], {
        perm: [0, 2, 1, 3],
      })
    const grown = (index: 0 | 1, added: string) => {
      if (!this.#style.isHalf)
        return g.op('Concat', [past[index], added], { axis: 2 }, present[index])
      const half = g.op('Cast', [added], { to: CAST.f16 })
      const whole = g.op('Concat', [past[index], half], { axis: 2 }, present[index])
      return g.op('Cast', [whole], { to: CAST.f32 })
    }
    const keys = grown(0, this.#rotated(split(k, kvHeads)))
    const values = grown(1, split(v, kvHeads))
    const shared = g.ints(0, kvHeads, heads / kvHeads, -1, headDim)
    const queries = g.op('Reshape', [this.#rotated(split(q, heads)), shared])
    const turned = g.op('Unsqueeze', [g.op('Transpose', [keys], { perm: [0, 1, 3, 2] }), g.ints(2)])
    const scores = g.op('Mul', [
      g.op('MatMul', [queries, turned]),
      g.scalar(1 / Math.sqrt(headDim)),
    ])
    const shares = g.op('Softmax', [g.op('Add', [scores, 'bias'])], { axis: -1 })
    const mixed = g.op('MatMul', [shares, g.op('Unsqueeze', [values, g.ints(2)])])
    const each = g.op('Reshape', [mixed, g.ints(0, heads, -1, headDim)])
    const rows = g.op('Transpose', [each], { perm: [0, 2, 1, 3] })
    return g.op('Reshape', [rows, g.ints(0, 0, heads * headDim)])
  }

  #rotated(tensor: string): string {
    const g = this.#g
    const half = this.#checkpoint.architecture.headDim / 2
    const [left, right] = [`${tensor}.left`, `${tensor}.right`]
    g.node('', 'Split', [tensor, g.ints(half, half)], [left, right], { axis: -1 })
    const mul = (a: string, b: string) => g.op('Mul', [a, b])
    const turned = [
      g.op('Sub', [mul(left, 'cos'), mul(right, 'sin')]),
      g.op('Add', [mul(right, 'cos'), mul(left, 'sin')]),
    ]
    return g.op('Concat', turned, { axis: -1 })
  }

  async #norm(name: string): Promise<string> {
    const { hiddenSize, normEpsilon } = this.#checkpoint.architecture
    await this.#weight(name, [hiddenSize], await this.#checkpoint.read(name))
    const attributes = { axis: -1, stash_type: 1, epsilon: float(normEpsilon) }
    return this.#g.op('SimplifiedLayerNormalization', [this.#stream, name], attributes)
  }

  async #linear(name: string, input: string, output?: string): Promise<string> {
    const [rows, columns] = this.#checkpoint.tensors.get(name)!.shape as [number, number]
    const values = transpose(await this.#checkpoint.read(name), rows, columns)
    await this.#weight(`${name}.turned`, [columns, rows], values)
    return this.#g.op('MatMul', [input, `${name}.turned`], {}, output)
  }

  async #biased(tensor: string, name: string): Promise<string> {
    if (!this.#checkpoint.tensors.has(name)) return tensor
    const values = await this.#checkpoint.read(name)
    await this.#weight(name, [values.length], values)
    return this.#g.op('Add', [tensor, name])
  }

  async #weight(name: string, shape: number[], values: Float32Array): Promise<void> {
    this.#g.weight(name, 'f32', shape, await this.#g.store(values))
  }
}
