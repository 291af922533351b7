// What the graphs compute, without an engine around them: a worker that runs a version's OnnxRunner.
//
// `perplexity` is teacher-forced: the text is cut into windows that are computed side by side, each token given and the
// probability of the next one read from the whole row of logits. `greedy` is what a prompt is answered with where
// nothing but the most likely token is ever taken.

import { decoderOf } from '../../../models/manifest.ts'
import type { StoredVersion } from '../../../models/store.ts'
import { OnnxRunner } from '../../../runtime/engine/onnx-runner.ts'
import { loadOrt } from '../../../runtime/ort/api.ts'
import { answerParent } from '../worker.ts'

export type ForwardAsk = {
  version: StoredVersion
  threads: number
} & (
  { type: 'perplexity'; ids: number[] } | { type: 'greedy'; prompts: number[][]; tokens: number }
)

interface Perplexity {
  type: 'perplexity'
  perplexity: number
  /** that were predicted */
  tokens: number
}

interface Greedy {
  type: 'greedy'
  /** a prompt each: the logits behind its last token, as base64 of float32, and the tokens that follow */
  answers: { logits: string; ids: number[] }[]
}

export type ForwardAnswer = Perplexity | Greedy

const WINDOWS = 8
// The first tokens of a window are hard to tell for any model: it has not seen what they continue.
const UNCOUNTED = 16

answerParent(async (ask: ForwardAsk): Promise<ForwardAnswer> =>
  ask.type === 'perplexity' ? measurePerplexity(ask) : answerGreedily(ask),
)

function measurePerplexity({
  version,
  threads,
  ids,
}: ForwardAsk & { type: 'perplexity' }): Perplexity {
  const length = Math.floor(ids.length / WINDOWS)
  const options = { slots: WINDOWS, capacity: length, threads, maxPrefill: 1 }
  const runner = new OnnxRunner(loadOrt(), version.folder, decoderOf(version.manifest), options)
  let surprise = 0
  let tokens = 0
  for (let position = 0; position < length - 1; position++) {
    const given = Array.from({ length: WINDOWS }, (_, window) => ids[window * length + position]!)
    runner.decode(
      given,
      Array.from(given, () => position),
      'logits',
    )
    if (position < UNCOUNTED) continue
    for (let window = 0; window < WINDOWS; window++) {
      surprise -= logProbability(runner.logits(window), ids[window * length + position + 1]!)
      tokens++
    }
  }
  runner.close()
  return { type: 'perplexity', perplexity: Math.exp(surprise / tokens), tokens }
}

function answerGreedily({
  version,
  threads,
  prompts,
  tokens,
}: ForwardAsk & { type: 'greedy' }): Greedy {
  const longest = Math.max(...prompts.map((prompt) => prompt.length))
  const options = { slots: 1, capacity: longest + tokens, threads, maxPrefill: longest }
  const runner = new OnnxRunner(loadOrt(), version.folder, decoderOf(version.manifest), options)
  const answers = prompts.map((prompt) => {
    runner.prefill(0, prompt, 0, 'logits')
    const logits = Buffer.from(Float32Array.from(runner.logits(0)).buffer).toString('base64')
    const ids = [runner.candidateIds(0)[0]!]
    while (ids.length < tokens) {
      runner.decode(ids.slice(-1), [prompt.length + ids.length - 1], 'candidates')
      ids.push(runner.candidateIds(0)[0]!)
    }
    return { logits, ids }
  })
  runner.close()
  return { type: 'greedy', answers }
}

function logProbability(logits: Float32Array, id: number): number {
  let most = -Infinity
  for (const logit of logits) most = Math.max(most, logit)
  let mass = 0
  for (const logit of logits) mass += Math.exp(logit - most)
  return logits[id]! - most - Math.log(mass)
}
