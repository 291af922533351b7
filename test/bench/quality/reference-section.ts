// Whether fp32 computes what the model is: logits and greedy answers against PyTorch's transformers, on five prompts.
//
// Three ways are compared: PyTorch over the checkpoint as written by our reader, our graph alone, and the engine process
// that serves it, which tokenises and detokenises too. Python reads the same weights, but its tokenizer, its chat template
// and its forward pass are its own.

import { readFile, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'

import { decoderOf } from '../../../models/manifest.ts'
import { openCheckpoint } from '../../../runtime/checkpoint/open.ts'
import { loadText } from '../../../runtime/engine/text/text.ts'
import type { Prompt } from '../../../runtime/protocol.ts'
import { runCommand } from '../command.ts'
import { cleanEnvironment } from '../environment.ts'
import { CACHE_DIR } from '../folders.ts'
import type { Progress } from '../progress.ts'
import { BenchEngine } from '../speed/engine.ts'
import { table } from '../table.ts'
import type { BenchModel } from '../versions.ts'
import { findPython } from './python.ts'
import { compute } from './runner-worker.ts'
import { writeSafetensorsFolder } from './safetensors-folder.ts'

export interface ReferenceFigures {
  prompt: string
  promptTokens: number
  arePromptIdsSame: boolean
  /** largest difference of a logit behind the prompt */
  logitDifference: number
  /** greedy tokens that are the same, from the first on, and how many were compared */
  sameTokens: number
  tokens: number
  isTextSame: boolean
}

type TextPrompt = Extract<Prompt, { kind: 'text' | 'chat' }>

interface PythonAnswer {
  promptIds: number[]
  ids: number[]
  text: string
}

const TOKENS = 64

const PROMPTS: TextPrompt[] = [
  chat('What is the capital of France?'),
  chat('Write three rules for naming files.'),
  { kind: 'text', text: 'Water is led to the wheel by a channel that' },
  { kind: 'text', text: 'def fibonacci(n):\n    """Return the n-th number."""\n' },
  { kind: 'text', text: 'Im Frühling, wenn der Schnee schmilzt, 2024 – “naïve” café:' },
]

/** @returns why it could not be compared, or what came out */
export async function compareWithPyTorch(
  model: BenchModel,
  { threads, progress, signal }: { threads: number; progress: Progress; signal: AbortSignal },
): Promise<{ reason: string } | { figures: ReferenceFigures[] }> {
  const found = await findPython(progress, signal)
  if ('reason' in found) return found
  const version = model.versions.get('fp32')
  if (!version) throw new Error('There is no fp32 version. This is a bug.')

  progress('reference: PyTorch')
  const theirs = await askPython(found.python, model, { threads, signal })
  progress('reference: fp32 graph and engine')
  const { folder, manifest } = version
  const text = await loadText(folder, decoderOf(manifest), manifest.contextLength)
  const promptIds = PROMPTS.map((prompt) => text.encode(prompt))
  const ask = { type: 'greedy' as const, version, threads, prompts: promptIds, tokens: TOKENS }
  const { answers: ours } = await compute<'greedy'>(ask, signal)
  await using engine = await BenchEngine.start(version, threads, signal)
  const served = await engine.run(PROMPTS.map((prompt) => ({ prompt, maxTokens: TOKENS })))

  const figures = PROMPTS.map((prompt, index): ReferenceFigures => {
    const their = theirs.answers[index]!
    const our = ours[index]!
    const logits = Float32Array.from(new Float32Array(bytesOf(our.logits)))
    const theirLogits = theirs.logits.subarray(index * logits.length, (index + 1) * logits.length)
    const differing = our.ids.findIndex((id, at) => id !== their.ids[at])
    return {
      prompt: prompt.kind === 'text' ? prompt.text : prompt.messages[0]!.content,
      promptTokens: promptIds[index]!.length,
      arePromptIdsSame: String(promptIds[index]) === String(their.promptIds),
      logitDifference: largestDifference(logits, theirLogits),
      sameTokens: differing < 0 ? our.ids.length : differing,
      tokens: TOKENS,
      isTextSame: served[index]!.text === their.text,
    }
  })
  return { figures }
}

async function askPython(
  python: string,
  model: BenchModel,
  { threads, signal }: { threads: number; signal: AbortSignal },
): Promise<{ answers: PythonAnswer[]; logits: Float32Array }> {
  const folder = join(CACHE_DIR, 'reference')
  const checkpoint = await openCheckpoint(model.checkpointFile)
  try {
    await writeSafetensorsFolder(checkpoint, folder)
    const { chatTemplate, endTokenIds } = checkpoint.tokenizer
    const [task, answers, logits] = ['task.json', 'answers.json', 'logits.f32'].map((name) =>
      join(folder, name),
    ) as [string, string, string]
    const prompts = PROMPTS.map((prompt) =>
      prompt.kind === 'text' ? { text: prompt.text } : { messages: prompt.messages },
    )
    await writeFile(
      task,
      JSON.stringify({ folder, threads, chatTemplate, endTokenIds, prompts, tokens: TOKENS }),
    )
    const script = join(import.meta.dirname, 'reference.py')
    const env = cleanEnvironment({ HF_HUB_OFFLINE: '1', TRANSFORMERS_OFFLINE: '1' })
    await runCommand(python, [script, task, answers, logits], { env, signal })
    return {
      answers: JSON.parse(await readFile(answers, 'utf8')) as PythonAnswer[],
      logits: new Float32Array(bytesOf(await readFile(logits))),
    }
  } finally {
    await checkpoint.close()
    await rm(folder, { recursive: true, force: true })
  }
}

export function referenceTable(figures: readonly ReferenceFigures[]): string {
  const yes = (is: boolean) => (is ? 'same' : 'DIFFERENT')
  return table(
    [
      'prompt',
      'tokens',
      'tokenised',
      'logits differ by at most',
      'greedy tokens the same',
      "engine's text",
    ],
    figures.map((figures) => [
      `“${figures.prompt.split('\n')[0]!}”`,
      String(figures.promptTokens),
      yes(figures.arePromptIdsSame),
      figures.logitDifference.toExponential(1),
      `${figures.sameTokens} of ${figures.tokens}`,
      yes(figures.isTextSame),
    ]),
  )
}

function largestDifference(one: Float32Array, other: Float32Array): number {
  let largest = one.length === other.length ? 0 : Infinity
  for (let i = 0; i < one.length; i++) largest = Math.max(largest, Math.abs(one[i]! - other[i]!))
  return largest
}

/** A buffer's bytes, at an address that numbers may be read from. */
function bytesOf(source: string | Uint8Array): ArrayBuffer {
  const bytes = typeof source === 'string' ? Buffer.from(source, 'base64') : source
  return Uint8Array.from(bytes).buffer
}

function chat(content: string): TextPrompt {
  return { kind: 'chat', messages: [{ role: 'user', content }] }
}
