// A process that turns all texts into vectors as often as it is asked: Headrace's engine, or transformers.js.
//
// Each does what a caller of it would have done: texts in, normalised vectors out.

import { EncoderEngine } from '../../../runtime/encoder/engine.ts'
import { openEncoderRunner } from '../../../runtime/encoder/open-runner.ts'
import { loadEncoderText } from '../../../runtime/encoder/text.ts'
import { readManifest } from '../../../models/manifest.ts'
import { loadOrt } from '../../../runtime/ort/api.ts'
import { answerParent } from '../worker.ts'
import { ENTRY } from './transformers-js.ts'

export type ContestantAsk =
  | { type: 'load headrace'; folder: string; threads: number; batchTokens: number }
  | { type: 'load transformers.js'; models: string; name: string; threads: number; batch: number }
  | { type: 'run'; texts: string[] }

export interface ContestantAnswer {
  ms: number
  /** of all its threads: what a machine that is busy with others says more truly */
  processorMs: number
  /** in base64, all vectors one behind the other */
  vectors: string
  tokens: number
}

type Embed = (texts: string[]) => Promise<{ vectors: Buffer; tokens: number }>

interface TransformersJs {
  env: { allowRemoteModels: boolean; localModelPath: string }
  pipeline(
    task: 'feature-extraction',
    model: string,
    options: object,
  ): Promise<(texts: string[], options: object) => Promise<{ data: Float32Array }>>
}

let embed: Embed | null = null

answerParent(async (ask: ContestantAsk): Promise<ContestantAnswer | null> => {
  if (ask.type === 'load headrace') embed = await loadHeadrace(ask)
  else if (ask.type === 'load transformers.js') embed = await loadTransformersJs(ask)
  else if (embed) {
    const startMs = performance.now()
    const before = process.cpuUsage()
    const { vectors, tokens } = await embed(ask.texts)
    const { user, system } = process.cpuUsage(before)
    const ms = performance.now() - startMs
    return { ms, processorMs: (user + system) / 1000, vectors: vectors.toString('base64'), tokens }
  }
  return null
})

async function loadHeadrace(ask: Extract<ContestantAsk, { type: 'load headrace' }>) {
  const { folder, threads, batchTokens } = ask
  const manifest = await readManifest(folder)
  if (manifest.kind !== 'embed') throw new Error(`${folder} makes no embeddings`)
  const engine = new EncoderEngine({
    runner: openEncoderRunner(loadOrt(), folder, manifest, {
      threads,
      maxCells: Math.max(batchTokens, manifest.contextLength),
    }),
    text: await loadEncoderText(folder, manifest),
    output: manifest.output,
    batchTokens,
    maxWaiting: 1,
    now: () => performance.now(),
  })
  const run: Embed = async (inputs) => {
    engine.submit({ id: 'run', version: 'bench@1', task: 'embed', inputs, truncate: true })
    while (!engine.isIdle) engine.step()
    const [[, event] = [null, null]] = engine.takeEvents()
    if (event?.type !== 'encoded' || event.result.kind !== 'vectors') throw new Error('no vectors')
    const vectors = event.result.vectors.map((vector) => Buffer.from(vector, 'base64'))
    return { vectors: Buffer.concat(vectors), tokens: event.promptTokens }
  }
  return run
}

async function loadTransformersJs(ask: Extract<ContestantAsk, { type: 'load transformers.js' }>) {
  const { models, name, threads, batch } = ask
  const { env, pipeline } = (await import(ENTRY)) as TransformersJs
  env.allowRemoteModels = false
  env.localModelPath = models
  const extract = await pipeline('feature-extraction', name, {
    dtype: 'fp32',
    session_options: { intraOpNumThreads: threads, interOpNumThreads: 1 },
  })
  const run: Embed = async (texts) => {
    const vectors: Buffer[] = []
    for (let start = 0; start < texts.length; start += batch) {
      const options = { pooling: 'mean', normalize: true }
      const { data } = await extract(texts.slice(start, start + batch), options)
      vectors.push(Buffer.from(Float32Array.from(data).buffer))
    }
    return { vectors: Buffer.concat(vectors), tokens: 0 }
  }
  return run
}
