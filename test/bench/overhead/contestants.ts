// Everybody who takes part, started in front of one mock upstream; who can't be had is passed over with the reason.

import { join } from 'node:path'

import { Worker } from '../worker.ts'
import { CHAT_PATH } from './contestant.ts'
import { Headrace } from './headrace.ts'
import { startLiteLLM } from './litellm.ts'
import { startNginx } from './nginx.ts'
import { startPortkey } from './portkey/gateway.ts'
import { DIRECT } from './rounds.ts'
import type { BareProxyAsk } from './bare-proxy.ts'
import type { Contestant, StartOptions } from './contestant.ts'
import type { ContestantName } from './options.ts'
import type { Progress } from '../progress.ts'

export const BARE = 'bare proxy'

interface Starting extends StartOptions {
  progress: Progress
  profileDir: string | null
}

/** In the order of the tables. */
const STARTS: Record<ContestantName, (options: Starting) => Promise<Contestant | string>> = {
  nginx: startNginx,
  bare: startBareProxy,
  portkey: startPortkey,
  litellm: startLiteLLM,
  headrace: (options) => Headrace.start(options),
}

export class Contestants implements AsyncDisposable {
  readonly all: Contestant[] = []
  /** one sentence for each who is not there */
  readonly absent: string[] = []

  static async start(names: ReadonlySet<ContestantName>, options: Starting): Promise<Contestants> {
    const contestants = new Contestants()
    const { all, absent } = contestants
    all.push(directTo(options.upstream))
    try {
      for (const [name, start] of Object.entries(STARTS)) {
        if (!names.has(name as ContestantName)) continue
        options.progress(`starting ${name}`)
        const started = await start(options)
        if (typeof started === 'string') absent.push(`${name} is not among them: ${started}.`)
        else all.push(started)
      }
      return contestants
    } catch (error) {
      await contestants[Symbol.asyncDispose]()
      throw error
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all(this.all.map((contestant) => contestant[Symbol.asyncDispose]()))
  }
}

function directTo(upstream: string): Contestant {
  return {
    name: DIRECT,
    url: upstream + CHAT_PATH,
    headers: {},
    pid: null,
    [Symbol.asyncDispose]: () => Promise.resolve(),
  }
}

async function startBareProxy({ upstream, signal }: StartOptions): Promise<Contestant> {
  const entry = join(import.meta.dirname, 'bare-proxy.ts')
  const worker = new Worker<BareProxyAsk, string>(BARE, entry, signal)
  try {
    const origin = await worker.ask({ upstream })
    return {
      name: BARE,
      url: origin + CHAT_PATH,
      headers: {},
      pid: worker.pid,
      [Symbol.asyncDispose]: () => worker[Symbol.asyncDispose](),
    }
  } catch (error) {
    await worker[Symbol.asyncDispose]()
    throw error
  }
}
