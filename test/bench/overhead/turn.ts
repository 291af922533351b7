// One turn of one contestant: warmed up, let come to rest, measured, let come to rest again.
//
// The rests make a gateway that logs pay for all of its log: what it puts off is still its own, and what the warm-up
// left behind is not.

import { setTimeout as sleep } from 'node:timers/promises'

import { usedBy } from './process-tree.ts'
import { requestBody } from './wire.ts'
import type { Worker } from '../worker.ts'
import type { LoadCase, Turn } from './case.ts'
import type { Contestant } from './contestant.ts'
import type { LoadAnswer, LoadAsk } from './load.ts'

export interface TurnOptions {
  load: Worker<LoadAsk, LoadAnswer>
  seconds: number
  signal: AbortSignal
}

/** Of each kind: after 20,000 requests or so a large program is compiled as it stays, and a small one long before. */
const WARM_UP_SECONDS = 10
const WARM_UP_SHARE = 0.3
const WARM_UP_CLIENTS = 16
const REST_MS = 700
const NOTHING = { cpuMs: null, postgresCpuMs: null, memoryBytes: null, postgresMemoryBytes: null }

/** Lets code be compiled as it will run, before anything is measured. */
export async function warmUp(
  { url, headers }: Contestant,
  { load, seconds: measuredSeconds }: TurnOptions,
): Promise<void> {
  const seconds = Math.max(WARM_UP_SECONDS, measuredSeconds)
  for (const isStreamed of [false, true]) {
    const pace = { clients: WARM_UP_CLIENTS }
    await load.ask({ url, headers, body: requestBody(isStreamed), isStreamed, pace, seconds })
  }
}

export async function takeTurn(
  contestant: Contestant,
  { pace, isStreamed }: LoadCase,
  { load, seconds, signal }: TurnOptions,
): Promise<Turn> {
  const { url, headers, pid } = contestant
  const ask: LoadAsk = { url, headers, body: requestBody(isStreamed), isStreamed, pace }
  await load.ask({ ...ask, seconds: seconds * WARM_UP_SHARE })
  await sleep(REST_MS, undefined, { signal })
  const before = pid === null ? null : await usedBy(pid)
  const { requests, failures, failure, p50Ms, p99Ms, ...took } = await load.ask({ ...ask, seconds })
  await sleep(REST_MS, undefined, { signal })
  const after = pid === null ? null : await usedBy(pid)
  const perThousand = (ms: number) => (ms / requests) * 1000
  return {
    requests,
    failures,
    failure,
    perSecond: requests / took.seconds,
    p50Ms,
    p99Ms,
    ...(before && after
      ? {
          cpuMs: perThousand(after.cpuMs - before.cpuMs),
          postgresCpuMs: perThousand(after.postgresCpuMs - before.postgresCpuMs),
          memoryBytes: after.memoryBytes,
          postgresMemoryBytes: after.postgresMemoryBytes,
        }
      : NOTHING),
  }
}
