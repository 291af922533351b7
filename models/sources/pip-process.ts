// Runs the machine's own pip, whichever it has, and says in a sentence why it failed.
//
// Knows: pip's command line and its words. Does not know: what the package is for.

import { spawn } from 'node:child_process'

import type { PipSource } from '../sources.ts'
import { SourceError } from './fetched.ts'

const PIPS = [['python3', '-m', 'pip'], ['python', '-m', 'pip'], ['pip3'], ['pip']] as const

// An index that can't be reached is given up after two tries of five seconds. A transfer that stalls is, too.
const NETWORK = ['--disable-pip-version-check', '--no-input', '--retries', '1', '--timeout', '5']
const END_MS = 2_000
/** pip may say a lot; the reason stands at the end */
const KEPT_CHARACTERS = 64 * 1024

interface Ended {
  code: number | null
  output: string
}

/** @throws SourceError where there is no pip, or it could not download the package */
export async function runPip(
  options: string[],
  source: PipSource,
  { env, signal }: { env: Record<string, string | undefined>; signal?: AbortSignal },
): Promise<void> {
  const requirement = `${source.package}==${source.version}`
  const args = ['download', ...NETWORK, '--progress-bar', 'off', ...options, requirement]
  for (const [command, ...before] of PIPS) {
    const ended = await run(command, [...before, ...args], env, signal)
    if (ended === null || isWithoutPip(ended)) continue
    if (ended.code === 0) return
    throw new SourceError(
      `${source.reference}: pip could not download it: ${reasonIn(ended.output)}`,
    )
  }
  const tried = PIPS.map((words) => words.join(' ')).join(', ')
  throw new SourceError(`${source.reference}: no pip is installed here (tried ${tried})`)
}

/** @returns null where there is no such command */
async function run(
  command: string,
  args: string[],
  env: Record<string, string | undefined>,
  signal?: AbortSignal,
): Promise<Ended | null> {
  signal?.throwIfAborted()
  // A group of its own: pip starts helpers, and a Ctrl-C at the terminal is ours to handle.
  const child = spawn(command, args, { env, detached: true, stdio: ['ignore', 'pipe', 'pipe'] })
  let output = ''
  const keep = (text: string) => (output = (output + text).slice(-KEPT_CHARACTERS))
  child.stdout.setEncoding('utf8').on('data', keep)
  child.stderr.setEncoding('utf8').on('data', keep)
  const end = (name: NodeJS.Signals) => {
    if (child.pid === undefined) return
    try {
      process.kill(-child.pid, name)
    } catch {
      // The group is gone already.
    }
  }
  let killer: NodeJS.Timeout | undefined
  const onAbort = () => {
    end('SIGTERM')
    killer = setTimeout(end, END_MS, 'SIGKILL')
  }
  signal?.addEventListener('abort', onAbort, { once: true })
  try {
    const code = await new Promise<number | null>((resolve, reject) => {
      child.once('error', reject)
      child.once('close', resolve)
    })
    signal?.throwIfAborted()
    return { code, output }
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return null
    throw error
  } finally {
    clearTimeout(killer)
    signal?.removeEventListener('abort', onAbort)
  }
}

function isWithoutPip({ code, output }: Ended): boolean {
  return code !== 0 && /No module named '?pip\b|command not found/.test(output)
}

/** The network's own words where there are some, else pip's last error. */
function reasonIn(output: string): string {
  const lines = output.split(/\r?\n/).map((line) => line.trim())
  const isOffline = lines.some((line) =>
    /NewConnectionError|ConnectTimeout|ReadTimeout|Failed to establish|name resolution|ProxyError/.test(
      line,
    ),
  )
  if (isOffline) return 'its package index can’t be reached'
  const errors = lines.filter((line) => line.startsWith('ERROR:'))
  const reason = errors.find((line) => !line.startsWith('ERROR: No matching')) ?? errors.at(-1)
  return (reason ?? lines.findLast((line) => line !== '') ?? 'it said nothing').replace(
    'ERROR: ',
    '',
  )
}
