// Whether a mean is lower than another one by more than a margin: Welch's t-test (1947), for unequal variances.
//
// Knows: sums. Does not know: of what.

import { studentTail } from './distributions.ts'

/** A sample, added up. */
export interface Sums {
  count: number
  sum: number
  squares: number
}

export const meanOf = ({ count, sum }: Sums) => sum / count

/** With one value more at each end of [0, 1]: a sample in which all say the same is no certainty. */
export function tempered({ count, sum, squares }: Sums): Sums {
  return { count: count + 2, sum: sum + 1, squares: squares + 1 }
}

/** @returns the p-value of "the trial's mean is at least the live one less the margin" */
export function meanShortfall(trial: Sums, live: Sums, margin: number): number {
  if (trial.count < 2 || live.count < 2) return 1
  const [ofTrial, ofLive] = [errorOf(trial), errorOf(live)]
  const difference = meanOf(live) - margin - meanOf(trial)
  const error = ofTrial + ofLive
  if (error === 0) return difference > 0 ? 0 : 1
  // Welch and Satterthwaite
  const degrees = error ** 2 / (ofTrial ** 2 / (trial.count - 1) + ofLive ** 2 / (live.count - 1))
  return studentTail(difference / Math.sqrt(error), degrees)
}

/** the mean's variance */
function errorOf({ count, sum, squares }: Sums): number {
  return Math.max(0, squares - sum ** 2 / count) / (count - 1) / count
}
