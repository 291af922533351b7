// The GGUF files that llama.cpp runs: the checkpoint as it is, and what llama.cpp makes of it, once.

import { existsSync } from 'node:fs'
import { mkdir, rename } from 'node:fs/promises'
import { basename, join } from 'node:path'

import { CACHE_DIR } from '../folders.ts'
import type { Progress } from '../progress.ts'
import { Worker } from '../worker.ts'
import type { QuantiseAsk } from './quantise.ts'

export interface Quantisation {
  name: string
  file: string
}

// Numbers of llama.h's enum llama_ftype.
const MADE = [
  { name: 'Q4_0', fileType: 2 },
  { name: 'Q8_0', fileType: 7 },
  { name: 'Q4_K_M', fileType: 15 },
]

export async function makeQuantisations(
  checkpointFile: string,
  { threads, progress, signal }: { threads: number; progress: Progress; signal: AbortSignal },
): Promise<Quantisation[]> {
  const shipped = /Q\d_[A-Z\d_]+|F16|F32|BF16/.exec(basename(checkpointFile))?.[0] ?? 'as shipped'
  const quantisations = [{ name: shipped, file: checkpointFile }]
  const folder = join(CACHE_DIR, 'gguf')
  await mkdir(folder, { recursive: true })
  const stem = basename(checkpointFile, '.gguf').replace(`.${shipped}`, '')
  for (const { name, fileType } of MADE) {
    const file = join(folder, `${stem}.${name}.gguf`)
    if (!existsSync(file)) {
      progress(`llama.cpp: quantising to ${name}`)
      await using worker = new Worker<QuantiseAsk, null>(
        'quantise',
        join(import.meta.dirname, 'quantise.ts'),
        signal,
      )
      await worker.ask({ from: checkpointFile, to: `${file}.part`, fileType, threads })
      await rename(`${file}.part`, file)
    }
    quantisations.push({ name, file })
  }
  return quantisations
}
