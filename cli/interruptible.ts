// Runs a command's work so that Ctrl-C ends it cleanly and a failure ends in one sentence and an exit code.

import type { Reporter } from './progress.ts'

const FAILED = 1
// 128 and the signal's number, as a shell would say it.
const EXIT_CODES = { SIGINT: 130, SIGTERM: 143 }

/** @param work ends early when the signal aborts, and cleans up before it does */
export async function runInterruptible(
  reporter: Reporter,
  deps: { setExitCode(code: number): void },
  work: (signal: AbortSignal) => Promise<void>,
): Promise<void> {
  const abort = new AbortController()
  let code = FAILED
  const interrupt = (name: 'SIGINT' | 'SIGTERM') => {
    code = EXIT_CODES[name]
    abort.abort(new Error(`interrupted by ${name}`))
  }
  const hangUp = () => abort.abort(new Error('nobody reads the output any more'))
  // Once: a second Ctrl-C ends the process there and then.
  process.once('SIGINT', interrupt).once('SIGTERM', interrupt)
  // A parent that is gone can't stop us; its end of the pipe is how we notice.
  process.stdout.once('error', hangUp)
  try {
    await work(abort.signal)
  } catch (error) {
    const { aborted, reason } = abort.signal
    // Whatever an abort made fail is no news; that it was one is.
    const message = aborted ? `${explain(reason)}; nothing was left half-made` : explain(error)
    reporter.fail(message)
    deps.setExitCode(code)
  } finally {
    process.removeListener('SIGINT', interrupt).removeListener('SIGTERM', interrupt)
    process.stdout.removeListener('error', hangUp)
  }
}

/** What an operator can do something about in one sentence; a defect with its stack. */
function explain(error: unknown): string {
  if (!(error instanceof Error)) return String(error)
  const isDefect =
    error instanceof TypeError ||
    error instanceof ReferenceError ||
    error.message.endsWith('This is a bug.')
  return isDefect ? (error.stack ?? error.message) : error.message
}
