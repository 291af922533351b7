// llama.cpp's side of the comparison: one GGUF in a process of its own.
//
// It is driven by the batch calls underneath node-llama-cpp's chat API, which would measure JavaScript instead. A step
// is one llama_decode with one token of each sequence and the logits of each; no token is sampled and no text is made,
// which is in its favour. Contexts with and without flash attention are both kept.

import { pathToFileURL } from 'node:url'

import type { SpeedCase } from '../speed/case.ts'
import { answerParent } from '../worker.ts'
import { ENTRY } from './package.ts'

export type LlamaAsk =
  | { type: 'load'; file: string; threads: number; sequences: number; contextTokens: number }
  | { type: 'run'; speedCase: SpeedCase; flashAttention: boolean }

/** What is used of node-llama-cpp, which is not among this project's packages. */
interface NodeLlamaCpp {
  getLlama(options: { build: 'never'; gpu: false; logLevel: 'error' }): Promise<{
    loadModel(options: { modelPath: string; gpuLayers: number }): Promise<{
      createContext(options: {
        sequences: number
        contextSize: number
        batchSize: number
        threads: number
        flashAttention: boolean
      }): Promise<{ _ctx: Batches }>
    }>
  }>
}

interface Batches {
  initBatch(tokens: number): void
  addToBatch(
    sequence: number,
    position: number,
    tokens: Uint32Array,
    wantsLogits: Uint32Array,
  ): Uint32Array
  decodeBatch(): Promise<void>
  disposeSequence(sequence: number): void
}

// Any ids do: the work is the same.
const FIRST_TOKEN = 300
const NEXT_TOKEN = 400
const NONE = new Uint32Array()
const WARM_UP_TOKENS = 16

let contexts: { plain: Batches; flash: Batches } | null = null

answerParent(async (ask: LlamaAsk): Promise<number> => {
  if (ask.type === 'load') {
    const startMs = performance.now()
    contexts = await load(ask)
    const loadMs = performance.now() - startMs
    for (const context of Object.values(contexts)) await prefill(context, WARM_UP_TOKENS)
    return loadMs
  }
  if (!contexts) throw new Error('Nothing is loaded. This is a bug.')
  const context = ask.flashAttention ? contexts.flash : contexts.plain
  const { kind, sequences, promptTokens, generatedTokens } = ask.speedCase
  return kind === 'prefill'
    ? prefill(context, promptTokens)
    : decode(context, sequences, promptTokens, generatedTokens)
})

async function load({ file, threads, sequences, contextTokens }: LlamaAsk & { type: 'load' }) {
  const { getLlama } = (await import(pathToFileURL(ENTRY).href)) as NodeLlamaCpp
  const llama = await getLlama({ build: 'never', gpu: false, logLevel: 'error' })
  const model = await llama.loadModel({ modelPath: file, gpuLayers: 0 })
  const options = { sequences, contextSize: contextTokens, batchSize: contextTokens, threads }
  const plain = await model.createContext({ ...options, flashAttention: false })
  const flash = await model.createContext({ ...options, flashAttention: true })
  return { plain: plain._ctx, flash: flash._ctx }
}

async function prefill(context: Batches, tokens: number): Promise<number> {
  context.disposeSequence(0)
  const startMs = performance.now()
  await compute(context, 0, tokens, true)
  return (tokens / (performance.now() - startMs)) * 1000
}

async function decode(
  context: Batches,
  sequences: number,
  promptTokens: number,
  generatedTokens: number,
): Promise<number> {
  for (let sequence = 0; sequence < sequences; sequence++) {
    context.disposeSequence(sequence)
    await compute(context, sequence, promptTokens, false)
  }
  // The first token comes with the prompt, so that a sequence of n takes n - 1 steps.
  const steps = generatedTokens - 1
  const token = Uint32Array.of(NEXT_TOKEN)
  const wantsLogits = Uint32Array.of(0)
  const startMs = performance.now()
  for (let step = 0; step < steps; step++) {
    context.initBatch(sequences)
    for (let sequence = 0; sequence < sequences; sequence++) {
      context.addToBatch(sequence, promptTokens + step, token, wantsLogits)
    }
    await context.decodeBatch()
  }
  const seconds = (performance.now() - startMs) / 1000
  for (let sequence = 0; sequence < sequences; sequence++) context.disposeSequence(sequence)
  return (sequences * steps) / seconds
}

async function compute(
  context: Batches,
  sequence: number,
  tokens: number,
  wantsLogits: boolean,
): Promise<void> {
  const ids = Uint32Array.from({ length: tokens }, (_, index) => FIRST_TOKEN + index)
  context.initBatch(tokens)
  context.addToBatch(sequence, 0, ids, wantsLogits ? Uint32Array.of(tokens - 1) : NONE)
  await context.decodeBatch()
}
