// What every bench's main does: its options are read, it is run until it ends or is interrupted, and how that went is
// the exit code.
//
// Knows: the process. Does not know: what is measured.

import { startProgress } from './progress.ts'
import type { Progress } from './progress.ts'

const FAILED = 1
const USAGE_ERROR = 2
const INTERRUPTED = 130

export interface Bench<Options> {
  /** as it is told on the command line: `bench-log` */
  name: string
  usage: string
  /** @returns null where help was asked for @throws Error naming the option, what was given and what is allowed */
  readOptions(args: string[]): Options | null
  /** why nothing can be measured here, as a sentence */
  whyNot?(): string | null
  run(options: Options, progress: Progress, signal: AbortSignal): Promise<void>
}

/** Of a process's main: its arguments, its signals and its exit code. */
export async function runBench<Options>(bench: Bench<Options>): Promise<void> {
  const interruption = new AbortController()
  for (const name of ['SIGINT', 'SIGTERM'] as const) {
    process.once(name, () => interruption.abort(new Error(`${name}: the bench was interrupted.`)))
  }
  process.exitCode = await codeOf(bench, interruption.signal)
}

async function codeOf<Options>(bench: Bench<Options>, signal: AbortSignal): Promise<number> {
  let options: Options | null
  try {
    options = bench.readOptions(process.argv.slice(2))
  } catch (error) {
    process.stderr.write(`${messageOf(error)}\n\n${bench.usage}`)
    return USAGE_ERROR
  }
  if (!options) {
    print(bench.usage)
    return 0
  }
  const reason = bench.whyNot?.() ?? null
  if (reason !== null) {
    process.stderr.write(`${bench.name}: ${reason}\n`)
    return FAILED
  }
  try {
    await bench.run(options, startProgress(process.stderr), signal)
    return 0
  } catch (error) {
    process.stderr.write(`${bench.name}: ${messageOf(signal.aborted ? signal.reason : error)}\n`)
    return signal.aborted ? INTERRUPTED : FAILED
  }
}

export function print(text: string): void {
  process.stdout.write(`${text}\n`)
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}
