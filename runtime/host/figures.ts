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

const NOTHING_MEASURED = { pid: 0, untilMs: -Infinity, bytes: Promise.resolve(0) }

export class Figures {
  #last = NONE
  #measured = NOTHING_MEASURED
  #deviceBytes: number | null = null

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
      this.memory(process),
    ])
    if (own) this.#last = own
    return { ...this.#last, memoryBytes: memoryBytes || this.#last.memoryBytes }
  }

  /** @returns bytes on the device, or in RAM where that is the processor; 0 without a process, or where the system doesn't tell */
  memory(process: EngineProcess | null): Promise<number> {
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
