// Headrace among the contestants, with everything on that a team would have on: a key of the table with limits of every
// kind and a budget, in a project with limits; prices; metrics; every exchange in an embedded PostgreSQL.

import { randomBytes } from 'node:crypto'
import { mkdir, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'

import { CACHE_DIR } from '../folders.ts'
import { CHAT_PATH } from './contestant.ts'
import { Program } from './program.ts'
import { MODEL } from './wire.ts'
import type { Contestant, StartOptions } from './contestant.ts'

export interface HeadraceOptions extends StartOptions {
  /** a folder for a CPU profile of the gateway's process; null: none */
  profileDir: string | null
}

const ENTRY = join(import.meta.dirname, 'headrace-process.ts')
/** far above what is asked for, so that every limit is counted and none is met */
const PLENTY = 1_000_000_000
const LIMITS = {
  requests_per_minute: PLENTY,
  tokens_per_minute: 1000 * PLENTY,
  concurrent_requests: PLENTY,
  daily_usd: PLENTY,
  monthly_usd: PLENTY,
  daily_tokens: 1000 * PLENTY,
  monthly_tokens: 1000 * PLENTY,
}
const LOG_TIMEOUT_MS = 30_000
const LOG_POLL_MS = 100

export class Headrace implements Contestant {
  readonly name = 'Headrace'
  readonly url: string
  readonly headers: Record<string, string>
  readonly pid: number
  readonly #program: Program
  readonly #origin: string

  private constructor(program: Program, origin: string, key: string) {
    this.#program = program
    this.#origin = origin
    this.pid = program.pid
    this.url = origin + CHAT_PATH
    this.headers = { authorization: `Bearer ${key}` }
  }

  static async start({ upstream, signal, profileDir }: HeadraceOptions): Promise<Headrace> {
    const dataDir = join(CACHE_DIR, 'overhead/headrace')
    // Of an earlier run; the log is to start empty.
    await rm(dataDir, { recursive: true, force: true })
    await mkdir(dataDir, { recursive: true })
    const configFile = join(dataDir, 'headrace.yaml')
    await writeFile(configFile, declarationOf(upstream))
    const profile = profileDir === null ? [] : ['--cpu-prof', `--cpu-prof-dir=${profileDir}`]
    const program = new Program(process.execPath, [...profile, ENTRY], {
      env: {
        HEADRACE_PORT: '0',
        HEADRACE_DATA_DIR: dataDir,
        HEADRACE_CONFIG: configFile,
        HEADRACE_ADMIN_KEY: `hr_bench_${randomBytes(24).toString('hex')}`,
        HEADRACE_LOG_LEVEL: 'warn',
        // Taking words for searches is put off until a machine has time: it belongs to no request. `make bench-log` has it.
        HEADRACE_SEARCH_LANGUAGE: 'none',
      },
      signal,
    })
    try {
      const [line] = await program.says(/^\{.*\}$/m)
      const { url, adminKey } = JSON.parse(line) as { url: string; adminKey: string }
      return new Headrace(program, url, await makeKey(url, adminKey))
    } catch (error) {
      await program[Symbol.asyncDispose]()
      throw error
    }
  }

  /** Resolves when every exchange so far is in the log. */
  async logged(): Promise<void> {
    const deadline = performance.now() + LOG_TIMEOUT_MS
    while ((await this.#metric('headrace_exchange_log_pending')) > 0) {
      if (performance.now() > deadline) throw new Error('The exchange log does not empty itself.')
      await sleep(LOG_POLL_MS)
    }
  }

  async remarks(): Promise<string[]> {
    await this.logged()
    const dropped = await this.#metric('headrace_exchange_log_dropped_total')
    return [`Headrace's exchange log: ${dropped} rows lost.`]
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#program[Symbol.asyncDispose]()
  }

  async #metric(name: string): Promise<number> {
    const text = await (await fetch(`${this.#origin}/metrics`)).text()
    const value = new RegExp(`^${name} (\\S+)$`, 'm').exec(text)?.[1]
    if (value === undefined) throw new Error(`Headrace exports no ${name}.`)
    return Number(value)
  }
}

function declarationOf(upstream: string): string {
  return JSON.stringify({
    upstreams: { mock: { api: 'compatible', base_url: `${upstream}/v1`, key: 'sk-bench' } },
    models: {
      [MODEL]: {
        targets: [{ upstream: 'mock', model: MODEL, price: { input: 1, output: 2 } }],
        retries: 2,
      },
    },
  })
}

async function makeKey(origin: string, adminKey: string): Promise<string> {
  const post = async (path: string, body: object) => {
    const response = await fetch(origin + path, {
      method: 'POST',
      headers: { authorization: `Bearer ${adminKey}`, 'content-type': 'application/json' },
      body: JSON.stringify(body),
    })
    if (response.status !== 201) {
      throw new Error(`${path} answered with ${response.status}: ${await response.text()}`)
    }
    return (await response.json()) as { key: string }
  }
  await post('/admin/projects', { name: 'bench', limits: LIMITS })
  const { key } = await post('/admin/keys', { name: 'bench', project: 'bench', limits: LIMITS })
  return key
}
