// An end for waiting: whoever has not answered by then is as good as away.

/** The work itself goes on; only nobody waits for it any more. */
export async function inTime<T>(work: Promise<T>, timeoutMs: number, what: string): Promise<T> {
  const { promise: late, reject } = Promise.withResolvers<never>()
  const timer = setTimeout(
    () => reject(new Error(`${what} did not answer within ${timeoutMs} ms.`)),
    timeoutMs,
  )
  try {
    return await Promise.race([work, late])
  } finally {
    clearTimeout(timer)
  }
}
