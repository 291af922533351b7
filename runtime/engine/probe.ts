// Finds out whether a graph computes the same however it is asked: all tokens at once, in pieces, one by one in a batch.
//
// A graph of our own is tested where it is made. Of somebody else's it is not known whether it takes a cache that is longer
// than its content, a batch of sequences of different lengths, or several tokens behind others: a few tokens tell.
//
// Knows: a runner. Does not know: which graph, files.

import type { Runner } from './runner.ts'

/** what a runner has to have for it */
export const PROBE_SIZE = { slots: 3, capacity: 32, maxPrefill: 16 }

const LONG = 12
const SHORT = 8
// Exports that scale a whole batch's activations at once differ by a few hundredths between one cut and another; a wrong
// mask, position or cache by more than half.
const MOST_DIFFERENCE = 0.2

/** @returns what is wrong, in one sentence; null where nothing is */
export function probe(runner: Runner): string | null {
  const ids = Array.from({ length: LONG }, (_, i) => (i * 7919 + 13) % runner.vocabSize)
  const other = Array.from({ length: SHORT }, (_, i) => (i * 104_729 + 5) % runner.vocabSize)
  const whole = (tokens: number[]) => {
    runner.prefill(2, tokens, 0, 'logits')
    return runner.logits(0).slice()
  }
  const [long, short] = [whole(ids), whole(other)]
  if (![...long, ...short].every(Number.isFinite)) return 'its logits are not finite'
  runner.prefill(0, ids.slice(0, 5), 0, 'none')
  runner.prefill(0, ids.slice(5), 5, 'logits')
  if (difference(runner.logits(0), long) > MOST_DIFFERENCE) {
    return 'a prompt gives other logits in pieces than at once'
  }
  runner.prefill(0, ids.slice(0, -1), 0, 'none')
  runner.prefill(1, other.slice(0, -1), 0, 'none')
  runner.decode([ids.at(-1)!, other.at(-1)!], [LONG - 1, SHORT - 1], 'logits')
  if (difference(runner.logits(0), long) > MOST_DIFFERENCE) {
    return 'a token gives other logits by itself than as the end of its prompt'
  }
  if (difference(runner.logits(1), short) > MOST_DIFFERENCE) {
    return 'a sequence gives other logits beside a longer one than alone'
  }
  return null
}

/** of two rows, as a share of their size */
function difference(left: Float32Array, right: Float32Array): number {
  let apart = 0
  let size = 0
  for (let i = 0; i < right.length; i++) {
    apart += (left[i]! - right[i]!) ** 2
    size += right[i]! ** 2
  }
  return Math.sqrt(apart / size)
}
