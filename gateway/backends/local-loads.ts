// Loads of local versions that requests wait for: one for all who need a version, each waiting as long as it may.
//
// A version that finds no room is asked for again while what is in its way is at work, as that will be done.
//
// Knows: the runtime's load, patience. Does not know: requests, which versions there are.

import { setTimeout as sleep } from 'node:timers/promises'

import { GatewayError } from '../errors.ts'
import { RuntimeError } from '../../runtime/client.ts'
import type { Runtime } from '../../runtime/client.ts'
import type { LoadEvent, VersionId } from '../../runtime/protocol.ts'

/** one load, which all who need its version wait for */
interface Load {
  done: Promise<void>
  startMs: number
  phase: Phase | null
}

type Phase = Extract<LoadEvent, { type: 'progress' }>['phase']

const DOING: Record<Phase, string> = {
  starting: 'its process is starting',
  loading: 'its weights are being read',
  warming: 'it is warming up',
}

/** Whoever is at work in a version's way may be done at any moment. */
const ROOM_POLL_MS = 200

export class LocalLoads {
  readonly #runtime: Pick<Runtime, 'load'>
  readonly #loadWaitMs: number
  readonly #loads = new Map<VersionId, Load>()

  /** @param loadWaitMs how long a request waits before it is told to come back */
  constructor(runtime: Pick<Runtime, 'load'>, loadWaitMs: number) {
    this.#runtime = runtime
    this.#loadWaitMs = loadWaitMs
  }

  /** Waits for the version at most `loadWaitMs`; the load itself goes on, for those who come back. */
  async load(version: VersionId, signal: AbortSignal): Promise<void> {
    const patience = AbortSignal.any([signal, AbortSignal.timeout(this.#loadWaitMs)])
    for (;;) {
      const load = this.#loads.get(version) ?? this.#startLoad(version)
      const { promise: givenUp, reject } = Promise.withResolvers<never>()
      const giveUp = () =>
        reject(signal.aborted ? signal.reason : this.#stillLoading(version, load))
      patience.addEventListener('abort', giveUp, { once: true })
      if (patience.aborted) giveUp()
      try {
        return await Promise.race([load.done, givenUp])
      } catch (error) {
        if (patience.aborted || !isPassing(error)) throw error
        // What is in its way is at work, and will be done.
        await sleep(ROOM_POLL_MS, undefined, { signal: patience }).catch(() => {})
        if (patience.aborted) throw signal.aborted ? signal.reason : error
      } finally {
        patience.removeEventListener('abort', giveUp)
      }
    }
  }

  #startLoad(version: VersionId): Load {
    const load: Load = { done: Promise.resolve(), startMs: performance.now(), phase: null }
    load.done = this.#runtime
      .load(version, (event) => {
        if (event.type === 'progress') load.phase = event.phase
      })
      .finally(() => this.#loads.delete(version))
    // Whoever still waits hears of a failure; nobody may be waiting any more.
    load.done.catch(() => {})
    this.#loads.set(version, load)
    return load
  }

  #stillLoading(version: VersionId, { startMs, phase }: Load): GatewayError {
    const waited = Math.round(this.#loadWaitMs / 1000)
    const passed = Math.round((performance.now() - startMs) / 1000)
    const doing = phase ? `, ${DOING[phase]}` : ''
    return new GatewayError(
      'model_loading',
      `Version '${version}' is being loaded (for ${passed} s now${doing}) and was not ready within ${waited} s. ` +
        'Try again shortly.',
    )
  }
}

function isPassing(error: unknown): boolean {
  return error instanceof RuntimeError && error.failure.isPassing === true
}
