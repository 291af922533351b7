// The memory that this host's engines may have together, and who has it.
//
// Versions that are loaded count with what is measured of them; one that is being loaded counts with what it may come to
// take, until it is there. What a version took when it was loaded last is known better than any estimate.
//
// Knows: engines from outside, the memory of machine or device, what gateways want. Does not know: requests, HTTP, how engines are ended.

import { setTimeout as sleep } from 'node:timers/promises'

import { demandOf } from './demand.ts'
import { findRoom } from './room.ts'
import type { EngineSettings } from '../engine/messages.ts'
import type { Fit, Holder, HostMemory, RuntimeFailure, VersionId } from '../protocol.ts'
import type { Engine } from './engine.ts'
import type { MemoryNeed } from './figures.ts'
import type { MachineMemory } from './machine-memory.ts'
import type { Resident } from './room.ts'

/** gateways take a host for away that does not tell how it is within two seconds */
const TELLING_MS = 700

interface BudgetOptions {
  budgetBytes: number
  cache: Pick<EngineSettings, 'slots' | 'contextTokens' | 'kvBudgetBytes'>
  isWanted: (version: VersionId) => boolean
  /** the memory that engines compute in */
  readMemory: () => Promise<MachineMemory>
}

export interface Admission extends Fit {
  /** counts until it is measured */
  need: MemoryNeed
  /** what its KV cache may come to occupy */
  kvBudgetBytes: number
  /** where it doesn't fit */
  failure: RuntimeFailure
}

interface Asked {
  version: VersionId
  folder: string
  mayEvict: boolean
}

export class Budget {
  readonly #options: BudgetOptions
  #last: MachineMemory | null = null
  /** weights and process, as measured when they were loaded */
  readonly #fixedBytes = new Map<VersionId, number>()

  constructor(options: BudgetOptions) {
    this.#options = options
  }

  /** @param engines all of this host */
  async admit({ version, folder, mayEvict }: Asked, engines: Iterable<Engine>): Promise<Admission> {
    const { budgetBytes, cache } = this.#options
    const demand = await demandOf(folder, cache)
    const residents = (await this.residents(engines)).filter((one) => one.version !== version)
    // What is being loaded has not taken it yet, and will.
    const comingBytes = residents.reduce((sum, one) => sum + one.comingBytes, 0)
    const machineFreeBytes = (await this.#read()).freeBytes - comingBytes
    const fixedBytes = this.#fixedBytes.get(version) ?? demand.fixedBytes
    const needBytes = Math.ceil(fixedBytes + demand.leastKvBytes)
    const ask = { needBytes, fixedBytes, budgetBytes, machineFreeBytes, residents }
    const room = findRoom({ ...ask, mayEvict })
    const staying = residents.filter((one) => !room.evicts.includes(one.version))
    const left = budgetBytes - staying.reduce((sum, { bytes }) => sum + bytes, 0)
    const holders = residents.map(({ version: id, bytes, why }): Holder => ({
      version: id,
      bytes,
      why,
    }))
    const { freeBytes } = room
    const idle = residents.map((one) => ({ ...one, isLeaving: one.why !== 'wanted' }))
    const isPassing = !room.fits && findRoom({ ...ask, residents: idle, mayEvict }).fits
    const message =
      `Version '${version}' needs ${mib(needBytes)}, and ${mib(freeBytes)} are free of the ` +
      `${mib(budgetBytes)} that this host's engines may have: ${described(holders)}.`
    return {
      version,
      isLoaded: false,
      ...room,
      needBytes,
      need: { needBytes, fixedBytes },
      holders,
      kvBudgetBytes: Math.min(cache.kvBudgetBytes, Math.floor(left - fixedBytes)),
      failure: { code: 'insufficient_memory', message, ...(isPassing && { isPassing }) },
    }
  }

  /** Those that have to go because the others have come to use more than there is. */
  async excess(engines: Iterable<Engine>): Promise<VersionId[]> {
    const { budgetBytes } = this.#options
    const residents = await this.residents(engines)
    const machineFreeBytes = Infinity
    const ask = { needBytes: 0, fixedBytes: 0, budgetBytes, machineFreeBytes, residents }
    const idle = residents.filter(({ why }) => why === 'idle')
    const room = findRoom({ ...ask, mayEvict: true })
    // Where ending all of them isn't enough, it is better than nothing.
    return room.fits ? room.evicts : idle.map(({ version }) => version)
  }

  async residents(engines: Iterable<Engine>): Promise<(Resident & { comingBytes: number })[]> {
    const measured = await Promise.all(
      [...engines].map(async (engine) => [engine, await engine.memory()] as const),
    )
    return measured.map(([engine, held]) => ({
      ...held,
      version: engine.version,
      why: this.#options.isWanted(engine.version) ? 'wanted' : engine.isIdle ? 'idle' : 'in_use',
      isLeaving: engine.state === 'draining',
      lastUsedMs: engine.lastUsedMs,
    }))
  }

  /** The next load of the version is judged by this one. */
  learn(version: VersionId, fixedBytes: number): void {
    this.#fixedBytes.set(version, fixedBytes)
  }

  async memory(usedBytes: number): Promise<HostMemory> {
    const last = this.#last
    const fresh = this.#read()
    // A GPU's driver that is slow to tell, or fails once, must not make this host seem to be away.
    const memory = last
      ? await Promise.race([fresh.catch(() => last), sleep(TELLING_MS, last, { ref: false })])
      : await fresh
    return { ...memory, budgetBytes: this.#options.budgetBytes, usedBytes }
  }

  async #read(): Promise<MachineMemory> {
    return (this.#last = await this.#options.readMemory())
  }
}

const WORDS: Record<Holder['why'], string> = {
  wanted: 'it is to stay',
  in_use: 'it is at work',
  idle: 'it is idle',
}

function described(holders: Holder[]): string {
  if (holders.length === 0) return 'no version has any of it, so that it never fits here'
  return holders
    .toSorted((a, b) => b.bytes - a.bytes)
    .map(({ version, bytes, why }) => `${version} has ${mib(bytes)} (${WORDS[why]})`)
    .join(', ')
}

function mib(bytes: number): string {
  return `${Math.round(bytes / 2 ** 20)} MiB`
}
