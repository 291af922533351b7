// How a server process lives and ends: the first signal ends it gracefully, the second in a hurry, the third at once.
//
// An error that nobody handled ends it gracefully too, with exit code 1: what other callers were promised is still kept.

import closeWithGrace from 'close-with-grace'

import type { Logger } from '../gateway/logger.ts'

export interface Lifetime {
  /** aborts with the first signal */
  ending: AbortSignal
  /** aborts with the second */
  hurry: AbortSignal
}

/** what a shell says of a command that SIGINT ended */
const FORCED = 130

/**
 * Runs a server until it is told to end; the process exits when `run` has undone everything.
 * @throws what `run` throws before it was told to end
 */
export async function live(logger: Logger, run: (life: Lifetime) => Promise<void>): Promise<void> {
  const ending = new AbortController()
  const hurry = new AbortController()
  const { promise: undone, resolve: onUndone } = Promise.withResolvers<void>()
  // Its own answer to a second signal is an exit on the spot, which would leave work undone that takes a moment.
  const grace = closeWithGrace(
    { delay: false, logger: false, skip: ['SIGINT', 'SIGTERM'] },
    async ({ err }) => {
      if (err) logger.error({ err }, 'an error that nobody handled; this is a bug')
      ending.abort()
      await undone
    },
  )
  let signals = 0
  const onSignal = (name: NodeJS.Signals) => {
    signals++
    if (signals === 1) logger.info({}, `${name}: ending; once more to cut what still runs`)
    if (signals === 1) grace.close()
    else if (signals === 2) hurry.abort()
    else process.exit(FORCED)
  }
  process.on('SIGINT', onSignal).on('SIGTERM', onSignal)
  try {
    await run({ ending: ending.signal, hurry: hurry.signal })
  } catch (error) {
    if (!ending.signal.aborted) throw error
    // Every wait was broken off, which is what was asked for; anything else is worth a line.
    const isBrokenOff = error instanceof Error && error.name === 'AbortError'
    if (!isBrokenOff) logger.error({ err: error }, 'something went wrong at the end')
  } finally {
    grace.uninstall()
    onUndone()
  }
}
