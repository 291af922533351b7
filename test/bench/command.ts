// Runs a program to its end; what it prints goes to stderr, so that stdout holds the tables alone.

import { spawn } from 'node:child_process'

export interface CommandOptions {
  cwd?: string
  env: NodeJS.ProcessEnv
  signal: AbortSignal
}

/** @throws Error naming the command and how it ended */
export async function runCommand(
  command: string,
  args: string[],
  options: CommandOptions,
): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<void>()
  const shown = [command, ...args].join(' ')
  const child = spawn(command, args, { ...options, stdio: ['ignore', 2, 2] })
  child.once('error', (cause) => reject(new Error(`${shown}: ${cause.message}`, { cause })))
  child.once('exit', (code, signal) => {
    if (code === 0) resolve()
    else reject(new Error(`${shown} ended with ${signal ?? code}`))
  })
  await promise
}

/** Whether a program is there and ends with 0. */
export async function canRun(
  command: string,
  args: string[],
  options: CommandOptions,
): Promise<boolean> {
  const { promise, resolve } = Promise.withResolvers<boolean>()
  const child = spawn(command, args, { ...options, stdio: 'ignore' })
  child.once('error', () => resolve(false))
  child.once('exit', (code) => resolve(code === 0))
  return promise
}
