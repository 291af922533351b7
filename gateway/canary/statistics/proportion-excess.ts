// Whether a share is larger than another one by more than a margin: an exact test of two binomial samples.
//
// Samples are put in order by the score of their difference (Farrington and Manning, 1990), and the p-value is how often
// samples that are at least as far out come about where the share is larger by the margin alone. How often that is
// depends on the other share, which isn't known: the largest of all that its own sample allows with probability 1 − γ,
// plus γ, is a valid p-value whatever the shares are (Berger and Boos, 1994). Unlike a test against the other share's
// bound alone it counts how seldom that share would have shown as little as it did.
//
// Knows: counts. Does not know: of what.

import { binomialTail, binomialTerms } from './distributions.ts'

export interface Count {
  /** of them */
  count: number
  of: number
}

/** of a score: what differs by less is the same sample's */
const EPSILON = 1e-9
/** where the largest of a smooth function is looked for, first of all and then between the two neighbours of the best */
const POINTS = 32
const NARROWINGS = 3
const POINTS_BETWEEN = 8

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
 * @param alpha what the p-value is to be compared with: a tenth of it goes into the bounds
 * @returns the p-value of "the trial's share is at most the live one plus the margin"
 */
export function proportionExcess(trial: Count, live: Count, margin: number, alpha: number): number {
  if (trial.of === 0 || live.of === 0) return 1
  if (trial.count / trial.of - live.count / live.of <= margin) return 1
  const gamma = alpha / 10
  const most = Math.min(1 - margin, upperBound(live, gamma / 2))
  const others = { count: live.of - live.count, of: live.of }
  const least = Math.min(most, 1 - upperBound(others, gamma / 2))
  const farOut = farOutBy(trial, live, margin, [least, most])
  return Math.min(1, gamma + largest(farOut, least, most))
}

/** @returns how often samples are at least as far out, by the live share, where the trial's is larger by the margin */
function farOutBy(
  trial: Count,
  live: Count,
  margin: number,
  [least, most]: [number, number],
): (share: number) => number {
  const [n, m] = [trial.of, live.of]
  const observed = score(trial.count / n, live.count / m, n, m, margin) - EPSILON
  const isFarOut = (x: number, y: number) => score(x / n, y / m, n, m, margin) >= observed
  // Counts of the live sample that come about at all.
  const first = binomialTerms(m, least).from
  const last = binomialTerms(m, most)
  const end = last.from + last.terms.length
  // The more of the live sample fail, the more of the trial's have to.
  const needed: number[] = []
  let x = leastOf(n, (x) => isFarOut(x, first))
  for (let y = first; y < end; y++) {
    while (x <= n && !isFarOut(x, y)) x++
    needed.push(x)
  }
  return (share) => {
    const ofLive = binomialTerms(m, share)
    const ofTrial = binomialTerms(n, share + margin)
    let [at, tail, sum] = [ofTrial.from + ofTrial.terms.length, 0, 0]
    for (let i = ofLive.terms.length - 1; i >= 0; i--) {
      const x = needed[ofLive.from + i - first] ?? n + 1
      while (at > x && at > ofTrial.from) tail += ofTrial.terms[--at - ofTrial.from]!
      sum += ofLive.terms[i]! * tail
    }
    return sum
  }
}

/** @returns the least of 0 … n that is so, where all beyond it are; n + 1 where none is */
function leastOf(n: number, isSo: (x: number) => boolean): number {
  let [low, high] = [0, n + 1]
  while (low < high) {
    const middle = Math.floor((low + high) / 2)
    if (isSo(middle)) high = middle
    else low = middle + 1
  }
  return low
}

function largest(of: (x: number) => number, low: number, high: number): number {
  let best = 0
  let points = POINTS
  for (let round = 0; round <= NARROWINGS; round++) {
    const step = (high - low) / points
    let at = low
    for (let i = 0; i <= points; i++) {
      const value = of(low + i * step)
      if (value <= best) continue
      best = value
      at = low + i * step
    }
    ;[low, high] = [Math.max(low, at - step), Math.min(high, at + step)]
    points = POINTS_BETWEEN
  }
  return best
}

/**
 * How far the shares p of n and q of m are from p = q + δ, in standard deviations of what the two would be if it held: the
 * likeliest p and q with p = q + δ, in the closed form of Farrington and Manning (1990).
 */
function score(p: number, q: number, n: number, m: number, delta: number): number {
  const ratio = m / n
  const a = 1 + ratio
  const b = -(1 + ratio + p + ratio * q + delta * (ratio + 2))
  const c = delta * delta + delta * (2 * p + ratio + 1) + p + ratio * q
  const d = -p * delta * (1 + delta)
  const third = b / (3 * a)
  const v = third ** 3 - (b * c) / (6 * a * a) + d / (2 * a)
  const u = Math.sign(v || 1) * Math.sqrt(Math.max(0, third * third - c / (3 * a)))
  const cosine = u === 0 ? 0 : Math.max(-1, Math.min(1, v / u ** 3))
  const likely = 2 * u * Math.cos((Math.PI + Math.acos(cosine)) / 3) - third
  const high = Math.max(delta, Math.min(1, likely))
  const low = high - delta
  const variance = (high * (1 - high)) / n + (low * (1 - low)) / m
  const excess = p - q - delta
  return variance > 0 ? excess / Math.sqrt(variance) : excess * Infinity || 0
}
