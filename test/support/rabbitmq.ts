// A real RabbitMQ of a file of tests, on a port of its own, which a test can end and start again; gone with the file.

import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { mkdir, writeFile } from 'node:fs/promises'
import { delimiter, join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import type { ChildProcess } from 'node:child_process'

import { makeFolder } from './folder.ts'
import { freePorts } from './free-ports.ts'
import { defer, lastingFile } from './lasting.ts'

// Debian's command of that name wants to be root; the one behind it does not.
const FOLDERS = ['/usr/lib/rabbitmq/bin', ...(process.env['PATH'] ?? '').split(delimiter)]
const COMMAND = FOLDERS.map((folder) => join(folder, 'rabbitmq-server')).find((file) =>
  existsSync(file),
)

/** for `test(…, { skip })` */
export const RABBITMQ_IS_ABSENT = COMMAND ? false : 'rabbitmq-server is not installed'

export interface TestRabbitmq {
  url: string
  /** as a crash would; what it confirmed is kept */
  kill(): Promise<void>
  /** again, at the same address */
  start(): Promise<void>
}

/** At the top of a file of tests: the server is started when the first of them asks. */
export function useRabbitmq(config: string[] = []): () => Promise<TestRabbitmq> {
  const lasting = lastingFile()
  let starting: Promise<TestRabbitmq> | null = null

  const begin = async (): Promise<TestRabbitmq> => {
    const folder = await makeFolder(lasting, 'rabbitmq')
    const [port, distPort, epmdPort] = (await freePorts(3)) as [number, number, number]
    const file = join(folder, 'rabbitmq.conf')
    await mkdir(join(folder, 'mnesia'))
    await writeFile(file, [`listeners.tcp.1 = 127.0.0.1:${port}`, ...config, ''].join('\n'))
    await writeFile(join(folder, 'plugins'), '[].\n')
    const env = {
      PATH: process.env['PATH'],
      // The cookie of its Erlang is made there.
      HOME: folder,
      ERL_EPMD_PORT: String(epmdPort),
      ERL_EPMD_ADDRESS: '127.0.0.1',
      RABBITMQ_NODENAME: `headrace-${port}@localhost`,
      RABBITMQ_DIST_PORT: String(distPort),
      RABBITMQ_MNESIA_BASE: join(folder, 'mnesia'),
      RABBITMQ_LOG_BASE: folder,
      RABBITMQ_LOGS: '-',
      RABBITMQ_CONFIG_FILE: file,
      RABBITMQ_ENABLED_PLUGINS_FILE: join(folder, 'plugins'),
    }
    let server: ChildProcess | null = null
    const start = async () => {
      // Between the command and the server there is a shell: all of them are one group.
      const child = spawn(COMMAND!, [], { env, detached: true, stdio: ['ignore', 'pipe', 'pipe'] })
      server = child
      child.stderr.resume()
      let said = ''
      for await (const chunk of child.stdout.iterator({ destroyOnReturn: false })) {
        said += String(chunk)
        if (said.includes('Server startup complete')) {
          child.stdout.resume()
          return
        }
      }
      throw new Error(`rabbitmq-server ended:\n${said.slice(-4000)}`)
    }
    const kill = async () => {
      const child = server
      server = null
      if (!child?.pid || child.exitCode !== null || child.signalCode !== null) return
      const gone = once(child, 'exit')
      process.kill(-child.pid, 'SIGKILL')
      await gone
    }
    // Erlang's list of nodes outlives them, and ends only when it has seen that they are gone.
    defer(lasting, async () => {
      for (let tries = 0; tries < 50; tries++) {
        const { stdout } = spawnSync('epmd', ['-kill'], { env, encoding: 'utf8' })
        if (stdout.includes('Killed')) return
        await sleep(50)
      }
    })
    defer(lasting, kill)
    process.once('exit', () => {
      if (server?.pid) process.kill(-server.pid, 'SIGKILL')
    })
    await start()
    return { url: `amqp://guest:guest@127.0.0.1:${port}`, kill, start }
  }
  return () => (starting ??= begin())
}
