// Whether more of a sample lies beyond a quantile of another one than chance puts there: the exceedance test (also
// precedence test; Nelson 1963, Balakrishnan and Ng 2006).
//
// If both came from one distribution, any order of all values would be as likely as any other. How many of the trial's
// values are above the live sample's r-th smallest is then negative hypergeometric, whatever the distribution is:
// nothing has to be normal, and that the quantile itself is an estimate is counted. Values are compared after the
// trial's were divided by the factor that they may be larger by. Equal values are not above, so that ties speak for the
// trial.
//
// Knows: ranks and counts. Does not know: milliseconds.

import { hypergeometricTail } from './distributions.ts'

export interface Exceedance {
  /** values of the live sample */
  live: number
  /** of the trial's */
  trial: number
  /** of these, those above the live sample's quantile */
  above: number
  /** in (0, 1) */
  quantile: number
}

/** @returns the p-value of "the trial's values are no larger than the live ones" */
export function exceedance({ live, trial, above, quantile }: Exceedance): number {
  if (live === 0 || above === 0) return 1
  const rank = Math.ceil(quantile * live)
  // `above` or more of the trial's are beyond the rank-th live one: of the smallest of all, at least `rank` are live.
  const smallest = trial - above + rank
  return hypergeometricTail(rank, smallest, live, live + trial)
}
