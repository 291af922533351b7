// Tails of the distributions that the guards' tests need.
//
// Discrete ones are summed from their largest term, in logarithms, so that a tail of 1e-12 is as exact as one of 0.5.
//
// Knows: numbers. Does not know: what is counted.

/** Lanczos's approximation, g = 7, n = 9 (Godfrey 2001): 15 digits for x > 0. */
const LANCZOS = [
  0.99999999999980993, 676.5203681218851, -1259.1392167224028, 771.32342877765313,
  -176.61502916214059, 12.507343278686905, -0.13857109526572012, 9.9843695780195716e-6,
  1.5056327351493116e-7,
]

/** @param x > 0 */
function logGamma(x: number): number {
  if (x < 0.5) return Math.log(Math.PI / Math.sin(Math.PI * x)) - logGamma(1 - x)
  const z = x - 1
  const t = z + 7.5
  const sum = LANCZOS.reduce((sum, c, i) => (i === 0 ? c : sum + c / (z + i)), 0)
  return 0.5 * Math.log(2 * Math.PI) + (z + 0.5) * Math.log(t) - t + Math.log(sum)
}

export function logChoose(n: number, k: number): number {
  if (k < 0 || k > n) return -Infinity
  if (k === 0 || k === n) return 0
  return logGamma(n + 1) - logGamma(k + 1) - logGamma(n - k + 1)
}

/** P(X ≥ k) of k successes in n trials, each with probability p. */
export function binomialTail(k: number, n: number, p: number): number {
  if (k <= 0) return 1
  if (k > n || p <= 0) return 0
  if (p >= 1) return 1
  const odds = p / (1 - p)
  const logTerm = logChoose(n, k) + k * Math.log(p) + (n - k) * Math.log1p(-p)
  return tailFrom(logTerm, k, n, (i) => ((n - i) / (i + 1)) * odds)
}

/** Smaller ones don't change a sum that is compared with a level of significance. */
const NEGLIGIBLE = 1e-18

/**
 * P(X = k) of k successes in n trials, for each k from `from` on, as far as it isn't negligible: some standard deviations
 * around the mean.
 */
export function binomialTerms(n: number, p: number): { from: number; terms: Float64Array } {
  if (p <= 0) return { from: 0, terms: Float64Array.of(1) }
  if (p >= 1) return { from: n, terms: Float64Array.of(1) }
  const mode = Math.min(n, Math.floor((n + 1) * p))
  const odds = p / (1 - p)
  const top = Math.exp(logChoose(n, mode) + mode * Math.log(p) + (n - mode) * Math.log1p(-p))
  const below: number[] = []
  for (let k = mode, term = top; k > 0; below.push(term), k--) {
    term *= k / ((n - k + 1) * odds)
    if (term < NEGLIGIBLE) break
  }
  const above: number[] = []
  for (let k = mode, term = top; k < n; above.push(term), k++) {
    term *= ((n - k) / (k + 1)) * odds
    if (term < NEGLIGIBLE) break
  }
  const terms = Float64Array.from([...below.reverse(), top, ...above])
  return { from: mode - below.length, terms }
}

/** P(X ≥ k), X being how many of `drawn` are marked, of `all` among which `marked` are. */
export function hypergeometricTail(k: number, drawn: number, marked: number, all: number): number {
  const least = Math.max(0, drawn + marked - all)
  const most = Math.min(drawn, marked)
  if (k <= least) return 1
  if (k > most) return 0
  const logTerm = logChoose(marked, k) + logChoose(all - marked, drawn - k) - logChoose(all, drawn)
  return tailFrom(
    logTerm,
    k,
    most,
    (i) => ((marked - i) * (drawn - i)) / ((i + 1) * (all - marked - drawn + i + 1)),
  )
}

/** Σ of the terms from k to `last`, each the one before times its ratio. */
function tailFrom(logTerm: number, k: number, last: number, ratio: (i: number) => number): number {
  // Relative to the first term, which may be too small for a double while the sum isn't.
  let [term, sum, scale] = [1, 1, logTerm]
  for (let i = k; i < last; i++) {
    term *= ratio(i)
    sum += term
    if (sum > 1e200) {
      scale += Math.log(sum)
      term /= sum
      sum = 1
    }
    if (term < sum * 1e-17 && ratio(i) < 1) break
  }
  return Math.min(1, Math.exp(scale + Math.log(sum)))
}

/** P(T ≥ t) of Student's distribution, with degrees of freedom that need not be whole. */
export function studentTail(t: number, degrees: number): number {
  if (t === Infinity) return 0
  if (t === -Infinity) return 1
  const half = 0.5 * incompleteBeta(degrees / (degrees + t * t), degrees / 2, 0.5)
  return t >= 0 ? half : 1 - half
}

/** Regularised, I_x(a, b), by Lentz's continued fraction (Abramowitz and Stegun, 26.5.8). */
export function incompleteBeta(x: number, a: number, b: number): number {
  if (x <= 0) return 0
  if (x >= 1) return 1
  if (x > (a + 1) / (a + b + 2)) return 1 - incompleteBeta(1 - x, b, a)
  const front = Math.exp(
    logGamma(a + b) - logGamma(a) - logGamma(b) + a * Math.log(x) + b * Math.log1p(-x),
  )
  return (front * betaFraction(x, a, b)) / a
}

const TINY = 1e-300
const MAX_TERMS = 500

function betaFraction(x: number, a: number, b: number): number {
  const away = (value: number) => (Math.abs(value) < TINY ? TINY : value)
  let c = 1
  let d = 1 / away(1 - ((a + b) * x) / (a + 1))
  let result = d
  for (let m = 1; m <= MAX_TERMS; m++) {
    const even = (m * (b - m) * x) / ((a + 2 * m - 1) * (a + 2 * m))
    d = 1 / away(1 + even * d)
    c = away(1 + even / c)
    result *= d * c
    const odd = (-(a + m) * (a + b + m) * x) / ((a + 2 * m) * (a + 2 * m + 1))
    d = 1 / away(1 + odd * d)
    c = away(1 + odd / c)
    const step = d * c
    result *= step
    if (Math.abs(step - 1) < 1e-15) break
  }
  return result
}
