// One engine's figures: what its process says of itself, and what the system says of the process.
//
// Knows: how to ask, and what to tell when there is no answer. Does not know: states, requests.

import { processMemory } from './process-memory.ts'
import type { EngineOwnStats } from '../engine/messages.ts'
import type { EngineProcess } from './engine-process.ts'

// Scrapers give up after a second; an engine answers between two steps, which may take a good part of one.
const ANSWER_MS = 700
// The kernel walks a process's pages to measure it, 10 to 40 ms a gigabyte: at most a fiftieth of a core's time is spent on it.
const MEASURED_MS = 1_000
const MEASURED_SHARE = 50

const NONE: EngineOwnStats = {
  running: 0,
  waiting: 0,
  slots: 0,
  contextTokens: 0,
  kvTokensUsed: 0,
  kvTokensCapacity: 0,
  memoryBytes: 0,
  steps: 0,
  stepSequences: 0,
  prefillTokens: 0,
  decodeTokens: 0,
  cachedTokens: 0,
  prefillSeconds: 0,
  decodeSeconds: 0,
}

/** What a version takes, by all that is known before it is loaded. */
export interface MemoryNeed {
  /** weights and process: taken as soon as it is loaded */
  fixedBytes: number
  /** with the KV cache: what it may come to take */
  needBytes: number
}

export interface MemoryHeld {
  /** what has to be counted for it: what it has, or while it is loaded, what it may come to have */
  bytes: number
  /** of that, what it will take as soon as it is loaded, and has not taken yet */
  comingBytes: number
}

const NOTHING_MEASURED = { pid: 0, untilMs: -Infinity, bytes: Promise.resolve(0) }

export class Figures {
  readonly #need: MemoryNeed
  #last = NONE
  #measured = NOTHING_MEASURED
  #deviceBytes: number | null = null

  constructor(need: MemoryNeed) {
    this.#need = need
  }

  /** The process is another, or does something else, and what was known of it says nothing any more. */
  forget(): void {
    this.#last = NONE
    this.#measured = NOTHING_MEASURED
  }

  /** What the process took of a device's own memory when it was loaded: all that it will. */
  onDevice(bytes: number): void {
    this.#deviceBytes = bytes
  }

  /** @param isServing an engine that loads is busy with that, and is not asked */
  async read(process: EngineProcess | null, isServing: boolean): Promise<EngineOwnStats> {
    const [own, memoryBytes] = await Promise.all([
      process && isServing ? process.stats(ANSWER_MS) : null,
      this.#measure(process),
    ])
    if (own) this.#last = own
    return { ...this.#last, memoryBytes: memoryBytes || this.#last.memoryBytes }
  }

  /** @param isLoading it has not all that it will have */
  async memory(process: EngineProcess | null, isLoading: boolean): Promise<MemoryHeld> {
    const bytes = await this.#measure(process)
    if (!isLoading) return { bytes, comingBytes: 0 }
    const { needBytes, fixedBytes } = this.#need
    return { bytes: Math.max(bytes, needBytes), comingBytes: Math.max(0, fixedBytes - bytes) }
  }

  /** @returns bytes on the device, or in RAM where that is the processor; 0 without a process, or where the system doesn't tell */
  #measure(process: EngineProcess | null): Promise<number> {
    if (!process?.pid) return Promise.resolve(0)
    if (this.#deviceBytes !== null) return Promise.resolve(this.#deviceBytes)
    const { pid } = process
    const startMs = performance.now()
    if (this.#measured.pid !== pid || startMs > this.#measured.untilMs) {
      const measured = { pid, untilMs: Infinity, bytes: Promise.resolve(0) }
      measured.bytes = processMemory(pid).then((bytes) => {
        const tookMs = performance.now() - startMs
        measured.untilMs = startMs + Math.max(MEASURED_MS, MEASURED_SHARE * tookMs)
        return bytes ?? 0
      })
      this.#measured = measured
    }
    return this.#measured.bytes
  }
}
