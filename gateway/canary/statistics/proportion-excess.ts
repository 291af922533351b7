// Whether a share is larger than another one by more than a margin: an exact binomial test against the other one's
// upper confidence bound.
//
// The other share isn't known, only its sample is. With probability 1 − γ it is no larger than Clopper's and Pearson's
// bound; if it is as large as that, the binomial tail is how often a share that is larger by the margin alone shows as
// many. The sum of γ and that tail is a valid p-value whatever the shares are (Berger and Boos, 1994): it errs on the
// side of the one that is on trial.
//
// Knows: counts. Does not know: of what.

import { binomialTail } from './distributions.ts'

export interface Count {
  /** of them */
  count: number
  of: number
}

/**
 * The share p for which `count` or fewer of `of` come about with probability γ; 1 where nothing is known.
 * (Clopper and Pearson, 1934.)
 */
export function upperBound({ count, of }: Count, gamma: number): number {
  if (count >= of) return 1
  let [low, high] = [count / of, 1]
  // A double has 53 bits.
  for (let i = 0; i < 60; i++) {
    const middle = (low + high) / 2
    if (1 - binomialTail(count + 1, of, middle) > gamma) low = middle
    else high = middle
  }
  return high
}

/**
 * @param margin that the trial's share may be larger by
 * @param alpha what the p-value is to be compared with: a tenth of it goes into the bound
 * @returns the p-value of "the trial's share is at most the live one plus the margin"
 */
export function proportionExcess(trial: Count, live: Count, margin: number, alpha: number): number {
  if (trial.count === 0 || trial.of === 0 || live.of === 0) return 1
  const gamma = alpha / 10
  const most = Math.min(1, upperBound(live, gamma) + margin)
  return Math.min(1, gamma + binomialTail(trial.count, trial.of, most))
}
