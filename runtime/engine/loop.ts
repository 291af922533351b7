// What an engine process turns: the loop of whatever kind its version is.

import type { PackedAdapter } from '../graph/packed-adapter.ts'
import type { EngineEvent, EngineOwnStats, EngineRequest } from './messages.ts'

export interface Loop {
  readonly adapters: {
    /** Makes what the first of them needs, while the loop goes on. @throws Error where none are taken */
    prepare(): Promise<void>
    /** @throws Error where there is no room for it, or none are taken */
    add(version: string, adapter: PackedAdapter): void
    /** Takes nothing new for it. */
    drop(version: string): void
  }
  /** nothing to do until a request comes */
  readonly isIdle: boolean
  /** Takes a request; what becomes of it is told by events, a refusal too. */
  submit(request: EngineRequest): void
  /** Frees what a request holds, now; no event follows. */
  cancel(id: string): void
  /** Refuses what comes from now on; what was accepted is served. */
  drain(): void
  step(): void
  /** What happened since the last call, in order. */
  takeEvents(): [id: string, event: EngineEvent][]
  stats(): EngineOwnStats
}
