import assert from 'node:assert/strict'
import { test } from 'node:test'

import {
  binomialTail,
  binomialTerms,
  hypergeometricTail,
  incompleteBeta,
  logChoose,
  studentTail,
} from '../../../gateway/canary/statistics/distributions.ts'
import { exceedance } from '../../../gateway/canary/statistics/exceedance.ts'
import {
  proportionExcess,
  upperBound,
} from '../../../gateway/canary/statistics/proportion-excess.ts'
import { meanShortfall } from '../../../gateway/canary/statistics/welch.ts'

/** as exact as double sums of logarithms are */
function near(actual: number, expected: number, relative = 1e-9) {
  const off = Math.abs(actual - expected)
  assert.ok(off <= Math.abs(expected) * relative, `${actual}, not ${expected}`)
}

test('binomial tails are those of exact fractions, however small', () => {
  near(binomialTail(3, 50, 0.05), 0.45946687728048474)
  near(binomialTail(40, 200, 0.05), 6.388069393022484e-14)
  near(binomialTail(50, 50, 0.1), 1e-50)
  assert.equal(binomialTail(0, 50, 0.1), 1)
  assert.equal(binomialTail(51, 50, 0.1), 0)
  assert.equal(binomialTail(1, 50, 0), 0)
  assert.equal(binomialTail(50, 50, 1), 1)
})

test('terms of a binomial are all that there is of it, wherever its mean lies', () => {
  for (const [n, p] of [
    [1, 0.3],
    [50, 0],
    [50, 1],
    [50, 0.02],
    [1_000_000, 0.97],
  ] as const) {
    const { from, terms } = binomialTerms(n, p)
    near(
      terms.reduce((sum, term) => sum + term, 0),
      1,
    )
    near(
      terms.reduce((sum, term, i) => sum + term * (from + i), 0),
      n * p,
    )
  }
})

test('binomial tails agree with the sum of all terms, for every count', () => {
  for (const n of [1, 7, 30]) {
    for (const p of [0.001, 0.05, 0.5, 0.97]) {
      for (let k = 0; k <= n; k++) {
        let sum = 0
        for (let i = k; i <= n; i++) sum += Math.exp(logChoose(n, i)) * p ** i * (1 - p) ** (n - i)
        near(binomialTail(k, n, p), Math.min(1, sum), 1e-8)
      }
    }
  }
})

test('hypergeometric tails are those of exact fractions', () => {
  near(hypergeometricTail(3, 5, 5, 10), 0.5)
  near(hypergeometricTail(9, 12, 20, 60), 0.001293734524565315)
  near(hypergeometricTail(190, 193, 200, 250), 3.791860004308524e-37, 1e-8)
  assert.equal(hypergeometricTail(0, 5, 5, 10), 1)
  assert.equal(hypergeometricTail(6, 5, 5, 10), 0)
})

test("Student's tail has the values of the tables", () => {
  // t for one tail of 5 % and 0.5 %
  near(studentTail(6.313751515, 1), 0.05, 1e-8)
  near(studentTail(2.015048373, 5), 0.05, 1e-8)
  near(studentTail(2.75, 30), 0.005, 1e-3)
  near(studentTail(-2.015048373, 5), 0.95, 1e-8)
  // with one degree of freedom it is Cauchy's
  near(studentTail(3, 1), 0.5 - Math.atan(3) / Math.PI)
  // and with many the normal distribution's
  near(studentTail(1.959963985, 1e7), 0.025, 1e-5)
})

test('the incomplete beta function is a polynomial where its parameters are whole', () => {
  for (const x of [0.01, 0.3, 0.5, 0.9]) near(incompleteBeta(x, 3, 4), binomialTail(3, 6, x))
})

test("Welch's test of Student's own sleep data is R's", () => {
  const sums = (values: number[]) => ({
    count: values.length,
    sum: values.reduce((sum, value) => sum + value, 0),
    squares: values.reduce((sum, value) => sum + value ** 2, 0),
  })
  const first = sums([0.7, -1.6, -0.2, -1.2, -0.1, 3.4, 3.7, 0.8, 0, 2])
  const second = sums([1.9, 0.8, 1.1, 0.1, -0.1, 4.4, 5.5, 1.6, 4.6, 3.4])
  // t = -1.8608, df = 17.776, p = 0.07939 for both sides
  near(meanShortfall(first, second, 0), 0.07939 / 2, 1e-4)
  near(meanShortfall(second, first, 0), 1 - 0.07939 / 2, 1e-4)
  assert.ok(meanShortfall(first, second, 1) > 0.2, 'a margin is allowed')
  const same = sums([1, 1, 1])
  assert.equal(meanShortfall(same, same, 0), 1)
  assert.equal(meanShortfall(sums([0, 0, 0]), same, 0), 0)
  assert.equal(meanShortfall(sums([0]), same, 0), 1, 'one value says nothing')
})

test("the upper bound of a share is Clopper's and Pearson's", () => {
  // nothing of n: 1 - γ^(1/n); all of n: 1
  near(upperBound({ count: 0, of: 50 }, 0.05), 1 - 0.05 ** (1 / 50))
  near(upperBound({ count: 0, of: 1000 }, 1e-5), 1 - 1e-5 ** (1 / 1000), 1e-6)
  assert.equal(upperBound({ count: 50, of: 50 }, 0.05), 1)
  // at the bound, so few are as seldom as that
  const bound = upperBound({ count: 7, of: 90 }, 0.01)
  near(1 - binomialTail(8, 90, bound), 0.01, 1e-9)
})

test('an exceedance is the negative hypergeometric tail, by its definition', () => {
  const of = (live: number, trial: number, above: number, quantile: number) =>
    exceedance({ live, trial, above, quantile })
  near(of(50, 50, 10, 0.95), 0.01387312957408518)
  near(of(200, 20, 6, 0.95), 0.0011767504538915462)
  near(of(10, 10, 3, 1), 0.10526315789473684)
  assert.equal(of(50, 50, 0, 0.95), 1)
  assert.equal(of(0, 50, 50, 0.95), 1)
})

test('an exceedance is how many orders of both samples show as much, counted one by one', () => {
  const [live, trial, rank] = [6, 5, 5]
  const counts = Array.from({ length: trial + 1 }, () => 0)
  let orders = 0
  // Each choice of places for the live ones is as likely as any other.
  for (let places = 0; places < 1 << (live + trial); places++) {
    let [seenLive, seenTrial, below] = [0, 0, 0]
    for (let place = 0; place < live + trial; place++) {
      if ((places >> place) & 1) {
        if (++seenLive === rank) below = seenTrial
      } else seenTrial++
    }
    if (seenLive !== live) continue
    orders++
    counts[trial - below]!++
  }
  for (let above = 1; above <= trial; above++) {
    const asMany = counts.slice(above).reduce((sum, count) => sum + count, 0)
    near(exceedance({ live, trial, above, quantile: rank / live }), asMany / orders)
  }
})

test('the p-value of a larger share is valid: it is below alpha no more often than alpha', () => {
  // Exactly, over all outcomes of both samples, at the edge of what is allowed.
  for (const [ofTrial, ofLive] of [
    [20, 20],
    [15, 60],
  ] as const) {
    for (const share of [0.01, 0.1, 0.4]) {
      const margin = 0.05
      const alpha = 0.05
      const termOf = (count: number, of: number, p: number) =>
        Math.exp(logChoose(of, count)) * p ** count * (1 - p) ** (of - count)
      let rejected = 0
      for (let trial = 0; trial <= ofTrial; trial++) {
        for (let live = 0; live <= ofLive; live++) {
          const p = proportionExcess(
            { count: trial, of: ofTrial },
            { count: live, of: ofLive },
            margin,
            alpha,
          )
          if (p > alpha) continue
          rejected += termOf(trial, ofTrial, share + margin) * termOf(live, ofLive, share)
        }
      }
      assert.ok(rejected <= alpha, `${rejected} at ${share}`)
    }
  }
})

test('what is worse by far is told from chance by the smallest samples that guards look at', () => {
  const p = (count: number, live: number) =>
    proportionExcess({ count, of: 50 }, { count: live, of: 50 }, 0.05, 0.005)
  assert.ok(p(17, 0) < 0.001)
  assert.ok(p(17, 2) < 0.001)
  assert.ok(p(14, 1) < 0.002)
  assert.ok(p(5, 0) > 0.05)
  for (let count = 1; count <= 50; count++) assert.ok(p(count, 3) <= p(count - 1, 3), `${count}`)
})

test('samples of a million are compared as soon as those of fifty', () => {
  const live = { count: 10_000, of: 1_000_000 }
  const p = (count: number) => proportionExcess({ count, of: 1_000_000 }, live, 0.02, 0.005)
  // 0.03 of them are allowed: a standard deviation of the difference is 0.0002.
  near(p(30_200), 0.16, 0.1)
  assert.ok(p(31_000) < 0.001)
  assert.equal(p(30_000), 1)
})

test('a larger share is told from chance', () => {
  const alpha = 0.005
  const at = (count: number, of: number) =>
    proportionExcess({ count, of }, { count: 10, of: 1000 }, 0.02, alpha)
  assert.ok(at(1, 50) > 0.5)
  // A tenth of alpha went into the bound: no p-value is smaller.
  assert.ok(at(15, 50) < alpha / 5)
  assert.equal(at(0, 50), 1)
  assert.equal(proportionExcess({ count: 5, of: 5 }, { count: 0, of: 0 }, 0.02, alpha), 1)
})
