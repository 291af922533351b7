// Whether a device computes what it should: a prompt at once and token by token have to come to the same.
//
// The two go through other kernels, of which a driver may have one wrong and nobody notice: answers would be fluent, and
// not the model's. It costs some forty short passes when a version is loaded.
//
// Knows: a runner. Does not know: which device.

import type { Runner } from './runner.ts'

// Enough to fill more than one tile of any kernel for prompts.
const TOKENS = 40
// Between one kernel and another half precision is some hundredths apart; software that emulates a GPU was at 0.09 and above.
const MOST_DIFFERENCE = 0.06

/** @returns what is wrong, in one sentence; null where nothing is */
export function checkDevice(runner: Runner): string | null {
  const count = Math.min(TOKENS, runner.capacity)
  const ids = Array.from({ length: count }, (_, i) => (i * 7919 + 13) % runner.vocabSize)
  runner.prefill(0, ids, 0, 'logits')
  const whole = runner.logits(0).slice()
  runner.prefill(0, ids.slice(0, 2), 0, 'none')
  for (let position = 2; position < count; position++) {
    runner.decode([ids[position]!], [position], 'logits')
  }
  const difference = apart(runner.logits(0), whole)
  // Not the other way round: what is no number is no less than anything.
  if (difference <= MOST_DIFFERENCE) return null
  return `a prompt gives other logits at once than token by token (${difference.toFixed(3)} of their size apart)`
}

function apart(left: Float32Array, right: Float32Array): number {
  let difference = 0
  let size = 0
  for (let i = 0; i < right.length; i++) {
    difference += (left[i]! - right[i]!) ** 2
    size += right[i]! ** 2
  }
  return Math.sqrt(difference / size)
}
