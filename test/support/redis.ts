// A real redis-server on a port of its own, which a test can end and start again; gone with the test.

import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import type { ChildProcess } from 'node:child_process'

import { freePorts } from './free-ports.ts'
import { defer } from './lasting.ts'
import type { Lasting } from './lasting.ts'

/** for `test(…, { skip })` */
export const REDIS_IS_ABSENT =
  spawnSync('redis-server', ['--version']).status === 0 ? false : 'redis-server is not installed'

export interface TestRedis {
  url: string
  /** kills it, as a crash would: nothing is kept */
  kill(): Promise<void>
  /** again, empty, at the same address */
  start(): Promise<void>
}

export async function startRedis(t: Lasting): Promise<TestRedis> {
  const [port] = (await freePorts(1)) as [number]
  let server: ChildProcess | null = null

  const start = async () => {
    const options = ['--port', port, '--bind', '127.0.0.1', '--save', '', '--appendonly', 'no']
    const child = spawn('redis-server', options.map(String), {
      stdio: ['ignore', 'pipe', 'inherit'],
    })
    server = child
    let said = ''
    for await (const chunk of child.stdout) {
      said += String(chunk)
      if (said.includes('Ready to accept connections')) {
        child.stdout.resume()
        return
      }
    }
    throw new Error(`redis-server ended:\n${said}`)
  }
  const kill = async () => {
    if (!server || server.exitCode !== null || server.signalCode !== null) return
    server.kill('SIGKILL')
    await once(server, 'exit')
  }
  await start()
  defer(t, kill)
  return { url: `redis://127.0.0.1:${port}`, kill, start }
}
