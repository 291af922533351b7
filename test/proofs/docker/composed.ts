// docker/compose.yaml as one proof has it: brought up with some of its profiles, asked and told things, taken down with its
// volumes.
//
// Knows: services, where they are reached, their secrets. Does not know: what is shown of them.

import { execFile } from 'node:child_process'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { promisify } from 'node:util'

import { freePorts } from '../../support/free-ports.ts'
import { ROOT } from '../../support/process.ts'
import { chat } from '../load.ts'
import { say } from '../verdict.ts'
import { imageOf } from './images.ts'
import type { Ask } from '../load.ts'
import type { Containers } from './containers.ts'

/** the model that is part of the repository */
export const MODEL = 'headrace-guide'
/** tokens by which the model would end its answer */
const ENDS = [0, 2]
const PROJECT = 'headrace-proof'
const START_MS = 180_000
const POLL_MS = 500
/** what the proofs reach from this host, by the variable of the compose file that says where */
const PUBLISHED = {
  gateway: 'PUBLISH',
  prometheus: 'PROMETHEUS_PUBLISH',
  alertmanager: 'ALERTMANAGER_PUBLISH',
  http: 'HTTP_PUBLISH',
  https: 'HTTPS_PUBLISH',
}

export interface ComposedOptions {
  profiles: string[]
  /** absent: all of the profiles */
  services?: string[]
  env?: Record<string, string>
}

type Published = keyof typeof PUBLISHED

export class Composed implements AsyncDisposable {
  readonly adminKey: string
  /** until the gateway said that it serves */
  readonly startMs: number
  readonly #containers: Containers
  readonly #compose: (...args: string[]) => Promise<string>
  readonly #ports: Record<Published, number>

  private constructor(
    containers: Containers,
    compose: (...args: string[]) => Promise<string>,
    ports: Record<Published, number>,
    found: { adminKey: string; startMs: number },
  ) {
    this.#containers = containers
    this.#compose = compose
    this.#ports = ports
    this.adminKey = found.adminKey
    this.startMs = found.startMs
  }

  /** Resolves when the gateway serves. @throws with what it said last */
  static async up(containers: Containers, options: ComposedOptions): Promise<Composed> {
    const { profiles, services = [], env = {} } = options
    await promisify(execFile)('sh', [join(ROOT, 'docker/make-secrets.sh')])
    const names = Object.keys(PUBLISHED) as Published[]
    const free = await freePorts(names.length)
    const ports = Object.fromEntries(names.map((name, index) => [name, free[index]])) as Record<
      Published,
      number
    >
    const variables = {
      COMPOSE_PROJECT_NAME: PROJECT,
      HEADRACE_DEFAULT_MODEL: MODEL,
      GATEWAY_IMAGE: imageOf('gateway'),
      RUNTIME_IMAGE: imageOf('runtime'),
      ...Object.fromEntries(names.map((name) => [PUBLISHED[name], `127.0.0.1:${ports[name]}`])),
      ...env,
    }
    const chosen = profiles.flatMap((profile) => ['--profile', profile])
    const compose = (...args: string[]) => containers.compose([...chosen, ...args], variables)
    await compose('down', '-v').catch(() => {})
    say(`The compose file is brought up: ${profiles.join(', ')}.`)
    const began = performance.now()
    try {
      await compose('up', '-d', '--no-build', ...services)
      await until(`http://127.0.0.1:${ports.gateway}/readyz`, START_MS, () =>
        startAgain(containers),
      )
    } catch (error) {
      const said = await containers
        .run('sh', ['-c', `podman logs --tail 10 ${PROJECT}_gateway_1 2>&1`])
        .catch(String)
      await compose('down', '-v').catch(() => {})
      throw new Error(`The gateway does not serve. It said last:\n${said}`, { cause: error })
    }
    const adminKey = await readSecret('admin-key')
    const startMs = performance.now() - began
    return new Composed(containers, compose, ports, { adminKey, startMs })
  }

  /** of this host */
  portOf(published: Published): number {
    return this.#ports[published]
  }

  urlOf(published: Published): string {
    return `http://127.0.0.1:${this.#ports[published]}`
  }

  /** of a service's only container */
  nameOf(service: string): string {
    return `${PROJECT}_${service}_1`
  }

  /** @returns what it wrote to standard output @throws where it fails */
  exec(service: string, ...command: string[]): Promise<string> {
    return this.podman('exec', this.nameOf(service), ...command)
  }

  podman(...args: string[]): Promise<string> {
    return this.#containers.run('podman', args)
  }

  startAgain(): Promise<void> {
    return startAgain(this.#containers)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#compose('down', '-v')
  }
}

/** One of docker/secrets/. */
export async function readSecret(name: string): Promise<string> {
  return (await readFile(join(ROOT, 'docker/secrets', name), 'utf8')).trim()
}

/**
 * Starts what ended with an error, as the compose file's restart policies have it: without systemd podman does not. Its name
 * server forgets questions while containers are added, and who starts just then may not find PostgreSQL.
 */
async function startAgain(containers: Containers): Promise<void> {
  const filters = ['--filter', 'status=exited', '--filter', `name=^${PROJECT}_`]
  const format = '{{.Names}} {{.ExitCode}}'
  const ended = await containers.run('podman', ['ps', '--all', ...filters, '--format', format])
  for (const line of ended.trim().split('\n')) {
    const [name, code] = line.split(' ')
    if (!name || code === '0') continue
    say(`${name} ended with code ${code}, and is started again.`)
    await containers.run('podman', ['start', name])
  }
}

/**
 * Resolves when the address answers well. @throws with what it said last, where it does not in time
 * @param meanwhile between two questions
 */
export async function until(
  url: string,
  withinMs = START_MS,
  meanwhile = () => Promise.resolve(),
): Promise<void> {
  let said = ''
  const isThere = await waitFor(async () => {
    await meanwhile()
    const response = await fetch(url).catch(() => null)
    if (response && !response.ok) said = await response.text()
    return response?.ok || null
  }, withinMs)
  if (!isThere) throw new Error(`${url} is not ready: ${said || 'no answer'}`)
}

/** What is found first. @returns null where nothing was in time */
export async function waitFor<Found>(
  look: () => Promise<Found | null | undefined>,
  withinMs: number,
): Promise<Found | null> {
  const deadline = performance.now() + withinMs
  for (;;) {
    const found = await look()
    if (found) return found
    if (performance.now() > deadline) return null
    await sleep(POLL_MS)
  }
}

/** A stream of as many tokens. */
export function lasting(key: string, tokens: number): Ask {
  const ask = chat(key, true, MODEL)
  const never = Object.fromEntries(ENDS.map((id) => [id, -100]))
  return { ...ask, body: { ...ask.body, max_tokens: tokens, logit_bias: never } }
}
