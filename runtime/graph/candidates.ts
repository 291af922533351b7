// The end of every decoder graph: of rows of logits, the log-probabilities and ids of the most likely tokens.
//
// As part of our own graphs, and as a graph of its own behind those of others:
//
//   in    logits[T,V] f32 or f16, out_rows[R] i64
//   out   top_values[R,C] f32, top_ids[R,C] i64, row_logits[R,V] f32
//
// Knows: logits. Does not know: where they come from.

import { GraphWriter } from './onnx.ts'

export const CANDIDATES_FILE = 'candidates.onnx'

// Sampling looks at this many candidates a row. 64 leave more than 99.9 % of the probability in on nearly every row at
// temperature 1; each doubling costs TopK a tenth more.
const CANDIDATES = 64

export const candidatesOf = (vocabSize: number) => Math.min(CANDIDATES, vocabSize)

/** Adds top_values and top_ids of a [R,V] tensor of logits to a graph's outputs. */
export function drawCandidates(graph: GraphWriter, logits: string, candidates: number): void {
  const logProbabilities = graph.op('LogSoftmax', [logits], { axis: -1 })
  graph.node('', 'TopK', [logProbabilities, graph.ints(candidates)], ['top_values', 'top_ids'], {
    axis: -1,
    largest: 1,
    sorted: 1,
  })
  graph.output('top_values', 'f32', ['R', candidates])
  graph.output('top_ids', 'i64', ['R', candidates])
}

/** Writes the graph that stands behind somebody else's. */
export async function writeCandidatesGraph(
  folder: string,
  vocabSize: number,
  logitsType: 'f32' | 'f16',
): Promise<void> {
  const graph = await GraphWriter.create(folder, null)
  graph.input('logits', logitsType, ['T', vocabSize])
  graph.input('out_rows', 'i64', ['R'])
  const picked = graph.op('Gather', ['logits', 'out_rows'], { axis: 0 })
  graph.op('Cast', [picked], { to: FLOAT }, 'row_logits')
  drawCandidates(graph, 'row_logits', candidatesOf(vocabSize))
  graph.output('row_logits', 'f32', ['R', vocabSize])
  await graph.finish(CANDIDATES_FILE)
}

/** TensorProto.DataType.FLOAT */
export const FLOAT = 1
