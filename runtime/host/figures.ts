// One engine's figures: what its process says of itself, and what the system says of the process.
//
// Knows: how to ask, and what to tell when there is no answer. Does not know: states, requests.

import { readFile } from 'node:fs/promises'

import type { EngineOwnStats } from '../engine/messages.ts'
import type { EngineProcess } from './engine-process.ts'

// Scrapers give up after a second; an engine answers between two steps, which may take a good part of one.
const ANSWER_MS = 700

const NONE: EngineOwnStats = {
  running: 0,
  waiting: 0,
  slots: 0,
  contextTokens: 0,
  kvTokensUsed: 0,
  kvTokensCapacity: 0,
  memoryBytes: 0,
  steps: 0,
  prefillTokens: 0,
  decodeTokens: 0,
  cachedTokens: 0,
  prefillSeconds: 0,
  decodeSeconds: 0,
}

export class Figures {
  #last = NONE

  /** The process is another, and counts from zero. */
  forget(): void {
    this.#last = NONE
  }

  /** @param isServing an engine that loads is busy with that, and is not asked */
  async read(process: EngineProcess | null, isServing: boolean): Promise<EngineOwnStats> {
    const [own, memoryBytes] = await Promise.all([
      process && isServing ? process.stats(ANSWER_MS) : null,
      process?.pid ? residentBytes(process.pid) : 0,
    ])
    if (own) this.#last = own
    return { ...this.#last, memoryBytes: memoryBytes ?? this.#last.memoryBytes }
  }
}

/** @returns bytes in RAM; null where the process is gone or the system has no /proc */
async function residentBytes(pid: number): Promise<number | null> {
  try {
    const status = await readFile(`/proc/${pid}/status`, 'utf8')
    const kilobytes = /^VmRSS:\s+(\d+) kB$/m.exec(status)?.[1]
    return kilobytes === undefined ? null : Number(kilobytes) * 1024
  } catch {
    return null
  }
}
