// Several streams as one, in the order in which they yield.
//
// Each source has at most one item under way, so a slow consumer slows all of them and nothing piles up here.
//
// Knows: iterators. Does not know: what flows through them.

/** Yields `[source, item]`. The first source that throws ends all; leaving the iteration ends all. */
export async function* merge<T>(sources: AsyncIterable<T>[]): AsyncGenerator<[number, T]> {
  const iterators = sources.map((source) => source[Symbol.asyncIterator]())
  const arrived: [number, IteratorResult<T>][] = []
  let failure: { error: unknown } | null = null
  let wake = () => {}

  function pull(source: number) {
    iterators[source]?.next().then(
      (result) => {
        arrived.push([source, result])
        wake()
      },
      (error: unknown) => {
        failure ??= { error }
        wake()
      },
    )
  }

  let open = iterators.length
  try {
    for (let source = 0; source < iterators.length; source++) pull(source)
    while (open > 0) {
      if (failure) throw (failure as { error: unknown }).error
      const next = arrived.shift()
      if (!next) {
        await new Promise<void>((resolve) => (wake = resolve))
        continue
      }
      const [source, result] = next
      if (result.done) {
        open--
        continue
      }
      yield [source, result.value]
      pull(source)
    }
  } finally {
    // Not awaited: a source that is waiting answers only when its signal aborts, which is the caller's to do.
    for (const iterator of iterators) iterator.return?.().catch(() => {})
  }
}
