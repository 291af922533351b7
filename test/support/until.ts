// Waits for what others do: a queue that empties, a file that is read again, another process.

import { setTimeout as sleep } from 'node:timers/promises'

/** Looks again and again; fails with what it waited for. */
export async function until(
  isSo: () => boolean | Promise<boolean>,
  withinMs = 15_000,
): Promise<void> {
  const deadline = performance.now() + withinMs
  while (!(await isSo())) {
    if (performance.now() > deadline) throw new Error(`Not within ${withinMs} ms: ${String(isSo)}`)
    await sleep(10)
  }
}
