// The process of the embedded PostgreSQL: launched, watched over, stopped.
//
// It runs in a session of its own, so that Ctrl-C in a terminal does not end it before what still has to be written. A
// watchdog that holds a pipe to this process ends it should this process be killed.
//
// Knows: one process. Does not know: where its files come from, who uses it.

import { spawn } from 'node:child_process'
import { createInterface } from 'node:readline'
import { setTimeout as sleep } from 'node:timers/promises'
import type { ChildProcess } from 'node:child_process'

import { processOptions } from './home.ts'
import type { RunAs } from './home.ts'
import type { Logger } from '../../logger.ts'

export interface ServerOptions {
  postgres: string
  cluster: string
  socketFolder: string
  /** names the socket; nothing listens on it as a TCP port */
  port: number
  runAs: RunAs
  isDurable: boolean
  logger: Logger
}

export interface Server {
  pid: number
  /** resolves when the process is gone, saying how it ended */
  ended: Promise<string>
  /** Lets no transaction finish that isn't at its end, writes everything, ends. */
  stop(): Promise<void>
}

/** A fast shutdown takes a checkpoint; one that takes longer than this is cut, and recovered at the next start. */
const STOP_TIMEOUT_MS = 20_000
/** Backends of a server that was killed notice within moments; until then their shared memory is in the way. */
const LEFTOVERS_TIMEOUT_MS = 10_000
const LEFTOVERS_POLL_MS = 200
const LAST_WORDS = 5

/** Resolves when it takes connections. @throws Error with its last words where it ends before */
export async function launchServer(options: ServerOptions): Promise<Server> {
  const deadline = performance.now() + LEFTOVERS_TIMEOUT_MS
  for (;;) {
    try {
      return await launch(options)
    } catch (error) {
      const isInTheWay = error instanceof Error && error.message.includes('shared memory block')
      if (!isInTheWay || performance.now() > deadline) throw error
      await sleep(LEFTOVERS_POLL_MS)
    }
  }
}

async function launch(options: ServerOptions): Promise<Server> {
  const settings = {
    listen_addresses: '',
    port: options.port,
    unix_socket_directories: options.socketFolder,
    unix_socket_permissions: '0700',
    // Errors are told to whoever asked, and their text may hold a prompt; these lines are about the server itself.
    log_min_messages: 'log',
    log_min_error_statement: 'panic',
    log_line_prefix: '',
    fsync: options.isDurable ? 'on' : 'off',
  }
  const flags = Object.entries(settings).flatMap(([name, value]) => ['-c', `${name}=${value}`])
  const child = spawn(options.postgres, ['-D', options.cluster, ...flags], {
    ...processOptions(options.runAs),
    detached: true,
    stdio: ['ignore', 'ignore', 'pipe'],
  })
  const ended = new Promise<string>((resolve) => {
    child.once('exit', (code, signal) => resolve(signal ?? `code ${code}`))
  })
  await untilReady(child, options.logger)
  const pid = child.pid!
  const watchdog = watch(pid, options)
  void ended.then(() => watchdog.kill('SIGKILL'))

  const stop = async () => {
    child.kill('SIGINT')
    const cut = setTimeout(() => child.kill('SIGQUIT'), STOP_TIMEOUT_MS)
    await ended
    clearTimeout(cut)
  }
  return { pid, ended, stop }
}

async function untilReady(child: ChildProcess, logger: Logger): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<void>()
  const words: string[] = []
  const fail = (how: string, cause?: unknown) =>
    reject(new Error(`PostgreSQL did not start (${how}): ${words.join(' ')}`, { cause }))
  if (child.stderr) {
    createInterface({ input: child.stderr }).on('line', (line) => {
      logger.debug({ pid: child.pid }, `postgres: ${line}`)
      words.push(line)
      if (words.length > LAST_WORDS) words.shift()
      if (line.includes('ready to accept connections')) resolve()
    })
  }
  child.once('error', (error) => fail(error.message, error))
  // 'close' comes after the last line of stderr was read; 'exit' may come before.
  child.once('close', (code, signal) => fail(signal ?? `code ${code}`))
  await promise
}

/** The pipe's other end closes with this process, however that ends. */
function watch(pid: number, { runAs, socketFolder }: ServerOptions): ChildProcess {
  const script =
    'cat >/dev/null; kill -INT "$0"; while kill -0 "$0" 2>/dev/null; do sleep 1; done; rmdir "$1"'
  const watchdog = spawn('/bin/sh', ['-c', script, String(pid), socketFolder], {
    ...processOptions(runAs),
    detached: true,
    stdio: ['pipe', 'ignore', 'ignore'],
  })
  // A server without a watchdog is still a server.
  watchdog.on('error', () => {})
  watchdog.unref()
  return watchdog
}
