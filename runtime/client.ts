// The gateway's front door to the runtime: generate, load, unload, stats.

import type { GenerateEvent, GenerateRequest, HostStats, LoadEvent, RuntimeFailure, VersionId } from './protocol.ts'

export interface Runtime {
  /**
   * Runs one request; yields `started`, deltas and `done`. Ending the iteration early or aborting the signal cancels it.
   * @throws RuntimeError whatever goes wrong, also in the middle of an answer; an abort rejects with the signal's reason
   */
  generate(request: GenerateRequest, signal: AbortSignal): AsyncIterable<Exclude<GenerateEvent, { type: 'error' }>>
  /** Loads a version and waits until it answers; loading one that is loaded is a no-op. @throws RuntimeError */
  load(version: VersionId, onProgress?: (event: LoadEvent) => void): Promise<void>
  unload(version: VersionId): Promise<void>
  stats(): Promise<HostStats>
  close(): Promise<void>
}

export class RuntimeError extends Error {
  override name = 'RuntimeError'
  readonly failure: RuntimeFailure
  constructor(failure: RuntimeFailure, options?: ErrorOptions) {
    super(failure.message, options)
    this.failure = failure
  }
  get code() {
    return this.failure.code
  }
}
