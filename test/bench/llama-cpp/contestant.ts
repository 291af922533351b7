// llama.cpp among the contestants: a process for each quantisation, a contestant for it with and without flash attention.

import { join } from 'node:path'

import type { Contestant, SpeedCase } from '../speed/case.ts'
import { Worker } from '../worker.ts'
import type { Quantisation } from './quantisations.ts'
import type { LlamaAsk } from './run.ts'

export interface LlamaOptions {
  threads: number
  /** at once */
  sequences: number
  /** of a sequence */
  contextTokens: number
  signal: AbortSignal
}

export class LlamaCpp implements AsyncDisposable {
  readonly name: string
  readonly #worker: Worker<LlamaAsk, number>

  private constructor(name: string, worker: Worker<LlamaAsk, number>) {
    this.name = name
    this.#worker = worker
  }

  static async start(quantisation: Quantisation, options: LlamaOptions): Promise<LlamaCpp> {
    const { signal, ...sizes } = options
    const name = `llama.cpp ${quantisation.name}`
    const entry = join(import.meta.dirname, 'run.ts')
    const llama = new LlamaCpp(name, new Worker<LlamaAsk, number>(name, entry, signal))
    try {
      await llama.#worker.ask({ type: 'load', file: quantisation.file, ...sizes })
      return llama
    } catch (error) {
      await llama[Symbol.asyncDispose]()
      throw error
    }
  }

  contestants(): Contestant[] {
    return [false, true].map((flashAttention) => ({
      name: flashAttention ? `${this.name} + flash` : this.name,
      run: (speedCase: SpeedCase) => this.#worker.ask({ type: 'run', speedCase, flashAttention }),
    }))
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#worker[Symbol.asyncDispose]()
  }
}
