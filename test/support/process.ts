// The real command line as a process of a test: started, listened to, and gone with the test.

import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'

import { defer } from './lasting.ts'
import type { Lasting } from './lasting.ts'

export const ROOT = join(import.meta.dirname, '../..')
export const LAUNCHER = join(ROOT, 'headrace')

const { PATH, HOME, NODE_COMPILE_CACHE } = process.env
const INHERITED = { PATH, HOME, ...(NODE_COMPILE_CACHE && { NODE_COMPILE_CACHE }) }

export interface StartOptions {
  env?: NodeJS.ProcessEnv
  cwd?: string
  command?: string
  /** uid and gid to run as */
  runAs?: { uid: number; gid: number }
}

export interface TestProcess {
  pid: number
  stdout: string
  stderr: string
  /** resolves with the exit code, or the signal that ended it */
  ended: Promise<number | NodeJS.Signals>
  kill(signal: NodeJS.Signals): void
  /** resolves with the match as soon as stdout or stderr has it; rejects with all that was said if it ends before */
  says(pattern: RegExp): Promise<RegExpExecArray>
}

export function startHeadrace(
  t: Lasting,
  args: string[],
  { env = {}, cwd = ROOT, command = LAUNCHER, runAs }: StartOptions = {},
): TestProcess {
  const child = spawn(command, args, {
    cwd,
    env: { ...INHERITED, ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
    ...runAs,
  })
  const ended = once(child, 'close').then(
    ([code, signal]) => (code ?? signal) as number | NodeJS.Signals,
  )
  let hasEnded = false
  const waiting = new Set<() => void>()
  const wake = () => {
    for (const look of waiting) look()
  }
  const running: TestProcess = {
    pid: child.pid ?? 0,
    stdout: '',
    stderr: '',
    ended,
    kill: (signal) => child.kill(signal),
    async says(pattern) {
      const { promise, resolve, reject } = Promise.withResolvers<RegExpExecArray>()
      const look = () => {
        const match = pattern.exec(running.stdout) ?? pattern.exec(running.stderr)
        if (match) resolve(match)
        else if (hasEnded) {
          reject(new Error(`It ended without ${pattern}:\n${running.stdout}\n${running.stderr}`))
        }
      }
      waiting.add(look)
      look()
      try {
        return await promise
      } finally {
        waiting.delete(look)
      }
    },
  }
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    running.stdout += text
    wake()
  })
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    running.stderr += text
    wake()
  })
  void ended.then(() => {
    hasEnded = true
    wake()
  })
  defer(t, async () => {
    if (!hasEnded) child.kill('SIGTERM')
    const timer = setTimeout(() => child.kill('SIGKILL'), 10_000)
    await ended
    clearTimeout(timer)
  })
  return running
}

/** Runs a command to its end. */
export async function runHeadrace(
  t: Lasting,
  args: string[],
  options?: StartOptions,
): Promise<{ code: number | NodeJS.Signals; stdout: string; stderr: string }> {
  const running = startHeadrace(t, args, options)
  const code = await running.ended
  return { code, stdout: running.stdout, stderr: running.stderr }
}

/** Command lines of living processes that have this text in them or in their environment's data folder. */
export async function processesOf(text: string): Promise<string[]> {
  const pids = (await readdir('/proc')).filter((name) => /^\d+$/.test(name))
  const found = await Promise.all(
    pids.map(async (pid) => {
      try {
        const command = await readFile(`/proc/${pid}/cmdline`, 'utf8')
        const environment = await readFile(`/proc/${pid}/environ`, 'utf8').catch(() => '')
        const isOurs = command.includes(text) || environment.includes(text)
        return isOurs && Number(pid) !== process.pid ? [command.replaceAll('\0', ' ').trim()] : []
      } catch {
        // It ended while we looked.
        return []
      }
    }),
  )
  // A process that has ended but was not waited for has an empty command line.
  return found.flat().filter((command) => command !== '')
}
