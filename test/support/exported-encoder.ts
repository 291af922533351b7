// An encoder's graph as exporters write it: standard operators over a padded batch, and a mask.
//
//   in    input_ids, attention_mask, token_type_ids [B,S] i64
//   out   last_hidden_state [B,S,H], or logits [B,L] of the first token

import type { EncoderCheckpoint } from '../../runtime/checkpoint/encoder-checkpoint.ts'
import { float, GraphWriter } from '../../runtime/graph/onnx.ts'
import { transpose } from '../../runtime/graph/quantise.ts'

/** What stands for "not this one" in a mask that is added to scores. */
const MASKED = -1e9

/** Writes `<name>` and `<name>_data` into a folder that is there. */
export async function exportEncoder(
  checkpoint: EncoderCheckpoint,
  folder: string,
  name = 'model.onnx',
): Promise<void> {
  const graph = await GraphWriter.create(folder, `${name}_data`)
  const { architecture: a, head } = checkpoint
  const size = a.hiddenSize / a.heads
  const tensor = async (name: string) => {
    const stored = await graph.store(await checkpoint.read(name))
    return graph.weight(name, 'f32', checkpoint.tensors.get(name)!.shape, stored)
  }
  const layer = async (name: string, input: string) => {
    const [rows, columns] = checkpoint.tensors.get(`${name}.weight`)!.shape as [number, number]
    const turned = transpose(await checkpoint.read(`${name}.weight`), rows, columns)
    const weight = graph.weight(name, 'f32', [columns, rows], await graph.store(turned))
    const product = graph.op('MatMul', [input, weight])
    return graph.op('Add', [await tensor(`${name}.bias`), product])
  }
  const norm = async (name: string, input: string) =>
    graph.op(
      'LayerNormalization',
      [input, await tensor(`${name}.weight`), await tensor(`${name}.bias`)],
      { axis: -1, epsilon: float(a.normEpsilon) },
    )
  for (const input of ['input_ids', 'attention_mask', 'token_type_ids']) {
    graph.input(input, 'i64', ['B', 'S'])
  }
  const shape = graph.op('Shape', ['input_ids'])
  const length = graph.op('Gather', [shape, graph.constant('i64', [], BigInt64Array.of(1n))])
  const zero = graph.constant('i64', [], BigInt64Array.of(0n))
  const one = graph.constant('i64', [], BigInt64Array.of(1n))
  const positions = graph.op('Range', [zero, length, one])
  const look = async (table: string, ids: string) =>
    graph.op('Gather', [await tensor(`embeddings.${table}.weight`), ids], { axis: 0 })
  const words = await look('word_embeddings', 'input_ids')
  const typed = graph.op('Add', [words, await look('token_type_embeddings', 'token_type_ids')])
  const placed = graph.op('Add', [typed, await look('position_embeddings', positions)])
  let stream = await norm('embeddings.LayerNorm', placed)
  const seen = graph.op('Cast', [graph.op('Unsqueeze', ['attention_mask', graph.ints(1, 2)])], {
    to: 1,
  })
  const unseen = graph.op('Sub', [graph.scalar(1), seen])
  const mask = graph.op('Mul', [unseen, graph.scalar(MASKED)])
  for (let index = 0; index < a.layers; index++) {
    const name = `encoder.layer.${index}`
    const heads = async (part: string, perm: number[]) => {
      const projected = await layer(`${name}.attention.self.${part}`, stream)
      const split = graph.op('Reshape', [projected, graph.ints(0, 0, a.heads, size)])
      return graph.op('Transpose', [split], { perm })
    }
    const query = await heads('query', [0, 2, 1, 3])
    const key = await heads('key', [0, 2, 3, 1])
    const scores = graph.op('Div', [
      graph.op('MatMul', [query, key]),
      graph.scalar(Math.sqrt(size)),
    ])
    const shares = graph.op('Softmax', [graph.op('Add', [scores, mask])], { axis: -1 })
    const mixed = graph.op('MatMul', [shares, await heads('value', [0, 2, 1, 3])])
    const joined = graph.op('Reshape', [
      graph.op('Transpose', [mixed], { perm: [0, 2, 1, 3] }),
      graph.ints(0, 0, a.hiddenSize),
    ])
    const attended = await layer(`${name}.attention.output.dense`, joined)
    const middle = await norm(
      `${name}.attention.output.LayerNorm`,
      graph.op('Add', [attended, stream]),
    )
    const active = graph.op('Gelu', [await layer(`${name}.intermediate.dense`, middle)])
    const narrow = await layer(`${name}.output.dense`, active)
    stream = await norm(`${name}.output.LayerNorm`, graph.op('Add', [narrow, middle]))
  }
  if (head === null) {
    graph.op('Identity', [stream], {}, 'last_hidden_state')
    graph.output('last_hidden_state', 'f32', ['B', 'S', a.hiddenSize])
  } else {
    const first = graph.op('Gather', [stream, zero], { axis: 1 })
    const dense = graph.op('Tanh', [await layer('head.dense', first)])
    graph.op('Identity', [await layer('head.out', dense)], {}, 'logits')
    graph.output('logits', 'f32', ['B', head.labels])
  }
  await graph.finish(name, 'exported')
}
