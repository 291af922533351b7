// One whole gateway of a proof, a process of its own: started, killed, started again at the same address, asked how it is.
//
// Knows: the process and its data folder. Does not know: what it is asked for, or by whom.

import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { symlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import type { ChildProcess } from 'node:child_process'

import { cleanEnvironment } from '../bench/environment.ts'
import { makeFolder } from '../support/folder.ts'
import { defer } from '../support/lasting.ts'
import { DECLARED } from './upstream.ts'
import type { Lasting } from '../support/lasting.ts'

export interface ReplicaOptions {
  name: string
  /** of the upstream that answers for every model; absent: versions of the library do */
  upstreamUrl?: string
  /** the library, and the runtime that loads its versions */
  library?: { models: string; runtimeUrl: string }
  /** settings besides */
  env?: Record<string, string>
  /** none: a PostgreSQL of its own, in its data folder */
  databaseUrl?: string
  redisUrl?: string
}

export interface Asked {
  status: number
  body: Record<string, unknown>
}

const ENTRY = join(import.meta.dirname, '../bench/overhead/headrace-process.ts')
export const ADMIN_KEY = 'hr_proof_of_nothing_but_of_what_is_promised'
/** of pino */
const ERROR = 50

export class Replica {
  readonly name: string
  readonly dataDir: string
  /** messages of its log's errors, and how often each came */
  readonly errors = new Map<string, number>()
  readonly #env: NodeJS.ProcessEnv
  #child: ChildProcess | null = null
  /** the one that was told to end */
  #ending: ChildProcess | null = null
  #port = 0

  private constructor(name: string, dataDir: string, env: NodeJS.ProcessEnv) {
    this.name = name
    this.dataDir = dataDir
    this.#env = env
  }

  static async start(t: Lasting, options: ReplicaOptions): Promise<Replica> {
    const { name, upstreamUrl, library, databaseUrl, redisUrl } = options
    const dataDir = await makeFolder(t, 'proof')
    const configFile = join(dataDir, 'headrace.yaml')
    // JSON is YAML too.
    const declaration = upstreamUrl === undefined ? {} : DECLARED(upstreamUrl)
    await writeFile(configFile, JSON.stringify(declaration))
    // A data folder is one server's; what is in the library is everybody's.
    if (library) await symlink(library.models, join(dataDir, 'models'))
    const replica = new Replica(name, dataDir, {
      ...cleanEnvironment(),
      REDIS_URL: redisUrl,
      DATABASE_URL: databaseUrl,
      HEADRACE_DATA_DIR: dataDir,
      HEADRACE_CONFIG: configFile,
      HEADRACE_ADMIN_KEY: ADMIN_KEY,
      HEADRACE_LOG_LEVEL: 'warn',
      RUNTIME_URLS: library?.runtimeUrl,
      ...options.env,
    })
    defer(t, () => replica.#end('SIGTERM'))
    await replica.start()
    return replica
  }

  get url(): string {
    return `http://127.0.0.1:${this.#port}`
  }

  get pid(): number {
    return this.#child?.pid ?? 0
  }

  /** Again, on the same data folder and at the same address. Resolves when it serves. */
  async start(env: Record<string, string> = {}): Promise<void> {
    const child = spawn(process.execPath, [ENTRY], {
      env: { ...this.#env, ...env, HEADRACE_PORT: String(this.#port) },
      stdio: ['ignore', 'pipe', 'pipe'],
    })
    this.#child = child
    const lastWords: string[] = []
    createInterface({ input: child.stderr }).on('line', (line) => {
      lastWords.push(line)
      if (lastWords.length > 20) lastWords.shift()
      this.#hear(line)
    })
    // 'close' comes after its last words.
    child.once('close', (code, signal) => {
      if (this.#ending === child) return
      this.#hear(`The process ended by itself (${signal ?? `code ${code}`}).`)
      console.error(`The gateway ${this.name} ended by itself:\n${lastWords.join('\n')}`)
    })
    for await (const line of createInterface({ input: child.stdout })) {
      this.#port = Number(new URL((JSON.parse(line) as { url: string }).url).port)
      child.stdout.resume()
      return
    }
    throw new Error(`The gateway ${this.name} ended:\n${lastWords.join('\n')}`)
  }

  /** At once, without a word to anybody, as the kernel does it that has no memory left. */
  kill(): Promise<void> {
    return this.#end('SIGKILL')
  }

  /** What it exports under this name, all labels together. */
  async metric(name: string): Promise<number> {
    const text = await (await fetch(`${this.url}/metrics`)).text()
    const values = [...text.matchAll(new RegExp(`^${name}(?:\\{.*\\})? (\\S+)$`, 'gm'))]
    if (values.length === 0) throw new Error(`No metric is called ${name}.`)
    return values.reduce((sum, [, value]) => sum + Number(value), 0)
  }

  /** Asks the admin API. */
  async ask(method: string, path: string, body?: object): Promise<Asked> {
    const response = await fetch(this.url + path, {
      method,
      headers: { authorization: `Bearer ${ADMIN_KEY}`, 'content-type': 'application/json' },
      body: body && JSON.stringify(body),
    })
    return { status: response.status, body: (await response.json()) as Asked['body'] }
  }

  /** @returns the version that answered; null where none did */
  async versionOf(path: string, body: object): Promise<string | null> {
    const response = await fetch(this.url + path, {
      method: 'POST',
      headers: { authorization: `Bearer ${ADMIN_KEY}`, 'content-type': 'application/json' },
      body: JSON.stringify(body),
    })
    await response.text()
    return response.ok ? response.headers.get('x-headrace-version') : null
  }

  /** Resolves when the process has ended by itself. */
  async gone(): Promise<void> {
    const child = this.#child
    this.#ending = child
    if (!child || child.exitCode !== null || child.signalCode !== null) return
    await once(child, 'exit', { signal: AbortSignal.timeout(30_000) })
  }

  /** A new key. */
  async makeKey(name: string, limits: Record<string, number>): Promise<string> {
    const response = await fetch(`${this.url}/admin/keys`, {
      method: 'POST',
      headers: { authorization: `Bearer ${ADMIN_KEY}`, 'content-type': 'application/json' },
      body: JSON.stringify({ name, limits }),
    })
    if (response.status !== 201) throw new Error(`No key was made: ${await response.text()}`)
    return ((await response.json()) as { key: string }).key
  }

  async #end(signal: 'SIGTERM' | 'SIGKILL'): Promise<void> {
    const child = this.#child
    if (!child || child.exitCode !== null || child.signalCode !== null) return
    this.#ending = child
    const gone = once(child, 'exit')
    child.kill(signal)
    const cut = setTimeout(() => child.kill('SIGKILL'), 20_000)
    await gone
    clearTimeout(cut)
  }

  #hear(line: string) {
    let message = line
    try {
      const { level, msg } = JSON.parse(line) as { level: number; msg?: string }
      if (level < ERROR) return
      message = msg ?? line
    } catch {
      // It is no line of the log: then it is an error too.
    }
    this.errors.set(message, (this.errors.get(message) ?? 0) + 1)
  }
}
