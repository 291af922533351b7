// Chooses the next token of a row, exactly, and looks at no more of the row than it has to.
//
// Order: adjusted logits (sampling.ts) → temperature → top_k → top_p → min_p, each on what the one before left, as in vLLM
// and llama.cpp. A runner's row begins as its 64 likeliest tokens with their log-probabilities. They are used wherever they
// prove what the whole row would give; only then, and without any threshold of "good enough", is the rest not looked at.
//
// What the candidates prove. With a = 1/temperature, a token of probability p weighs p^a. The n tokens that are no
// candidates have t = 1 − Σ candidates' p together, and none has more than the last candidate's p̂. So their weights' sum
// lies between
//     t·p̂^(a−1)      t tokens' worth of p̂: for a ≥ 1 the most, since p^a = p·p^(a−1) ≤ p·p̂^(a−1); for a ≤ 1 the least
//     n^(1−a)·t^a     all alike: for a ≥ 1 the least, for a ≤ 1 the most (Jensen, x^a being convex or concave)
// and both are t where the temperature is 1. Where a filter's cut or a draw falls on the same candidate at both ends of
// that interval, it is decided. Otherwise the whole row is (whole-row.ts), with the same number drawn and the candidates
// first in line, so that the two together are one exact draw. Penalties and negative biases only make the rest weigh less,
// which leaves the upper end; what may make it weigh more goes to the whole row at once.
//
// Which way is taken depends on nothing but the row and the sequence's own options: the neighbours change no token.
//
// Knows: rows, Sampling. Does not know: sequences, text.

import type { Runner } from '../runner.ts'
import type { Sampling } from './sampling.ts'
import { WholeRow } from './whole-row.ts'

export type Rows = Pick<Runner, 'candidateIds' | 'candidateLogprobs' | 'logits'>

export interface Report {
  logprob: number
  top: { id: number; logprob: number }[]
}

// Below this a difference of one rounding error in the logits decides everything, and 1/temperature nears overflow.
const LEAST_TEMPERATURE = 1e-5

const UNDECIDED = -1

export class Sampler {
  readonly #vocabSize: number
  readonly #candidates: number
  readonly #wholeRow: WholeRow
  // the candidates of the row at hand, likeliest first: ids, adjusted log-weights, running sums of weights
  readonly #ids: Int32Array
  readonly #scores: Float64Array
  readonly #sums: Float64Array

  constructor(vocabSize: number, candidates: number) {
    this.#vocabSize = vocabSize
    this.#candidates = candidates
    this.#wholeRow = new WholeRow(vocabSize)
    this.#ids = new Int32Array(candidates)
    this.#scores = new Float64Array(candidates)
    this.#sums = new Float64Array(candidates)
  }

  /**
   * Whether a row may turn out to need more than its candidates. Having the logits at hand costs a forward pass nothing
   * that could be measured, so a step asks for them whenever one of its rows might.
   */
  mayNeedLogits(sampling: Sampling): boolean {
    if (sampling.isAdjusted) return true
    if (this.#candidates === this.#vocabSize) return false
    return !isGreedy(sampling) && !(sampling.topK > 0 && sampling.topK <= this.#candidates)
  }

  choose(sampling: Sampling, rows: Rows, row: number): number {
    const ids = rows.candidateIds(row)
    const logprobs = rows.candidateLogprobs(row)
    if (Number.isNaN(logprobs[0]!)) {
      throw new Error('The graph computed logits that are not numbers.')
    }
    if (isGreedy(sampling) && !sampling.isAdjusted) return ids[0]!
    const chance = isGreedy(sampling) ? 0 : sampling.random.next()
    if (!sampling.lifts) {
      const last = this.#rank(sampling, rows, row)
      const index = isGreedy(sampling)
        ? this.#pickBest(last)
        : this.#pick(sampling, logprobs, last, chance)
      if (index !== UNDECIDED) return this.#ids[index]!
    } else {
      this.#ids.set(ids)
    }
    const temperature = isGreedy(sampling) ? 0 : sampling.temperature
    return this.#wholeRow.choose(rows.logits(row), sampling, temperature, chance, this.#ids)
  }

  /** What the model itself made of a token, before temperature, filters and penalties. */
  report(id: number, rows: Rows, row: number, alternatives: number): Report {
    const ids = rows.candidateIds(row)
    const logprobs = rows.candidateLogprobs(row)
    const count = Math.min(alternatives, ids.length)
    const top = Array.from({ length: count }, (_, i) => ({ id: ids[i]!, logprob: logprobs[i]! }))
    for (let i = 0; i < ids.length; i++) {
      if (ids[i] === id) return { logprob: logprobs[i]!, top }
    }
    // Only the whole row offers a token that is no candidate, so it is there.
    const logits = rows.logits(row)
    return { logprob: logits[id]! - logits[ids[0]!]! + logprobs[0]!, top }
  }

  /**
   * Puts the candidates in order, equals by lowest id: by log-probability or, where they are adjusted, by logit.
   * @returns the score that no other token exceeds
   */
  #rank(sampling: Sampling, rows: Rows, row: number): number {
    const ids = rows.candidateIds(row)
    const raw = sampling.isAdjusted ? rows.logits(row) : null
    const logprobs = rows.candidateLogprobs(row)
    for (let i = 0; i < this.#candidates; i++) {
      const id = ids[i]!
      const score = raw ? Math.fround(sampling.adjust(id, raw[id]!)) : logprobs[i]!
      // By insertion: they come in order, and adjusting moves a few.
      let place = i
      while (place > 0 && isBefore(score, id, this.#scores[place - 1]!, this.#ids[place - 1]!)) {
        this.#scores[place] = this.#scores[place - 1]!
        this.#ids[place] = this.#ids[place - 1]!
        place--
      }
      this.#scores[place] = score
      this.#ids[place] = id
    }
    if (this.#candidates === this.#vocabSize) return -Infinity
    const last = this.#candidates - 1
    return raw ? raw[ids[last]!]! : logprobs[last]!
  }

  /** @returns the place among the candidates */
  #pickBest(last: number): number {
    return this.#scores[0]! > last ? 0 : UNDECIDED
  }

  /** @returns the place among the candidates */
  #pick(sampling: Sampling, logprobs: Float32Array, last: number, chance: number): number {
    const { temperature, topK, topP, minP } = sampling
    const scores = this.#scores
    const sums = this.#sums
    const best = scores[0]!
    const power = 1 / temperature
    let sum = 0
    let held = 0
    for (let i = 0; i < this.#candidates; i++) {
      sum += Math.exp((scores[i]! - best) * power)
      sums[i] = sum
      held += Math.exp(logprobs[i]!)
    }
    // The rest: at least `low`, at most `high`, and no token of it more than `most`, in the units of the sums.
    const others = this.#vocabSize - this.#candidates
    let most = 0
    let low = 0
    let high = 0
    if (others > 0 && held < 1 && last > -Infinity) {
      const rest = Math.log(1 - held)
      const lastLogprob = logprobs[this.#candidates - 1]!
      const unit = (best - last + lastLogprob) * power
      const packed = Math.exp(rest + lastLogprob * (power - 1) - unit)
      const spread = Math.exp(rest * power + Math.log(others) * (1 - power) - unit)
      most = Math.exp((last - best) * power)
      low = sampling.isAdjusted ? 0 : Math.min(packed, spread)
      high = Math.min(Math.max(packed, spread), others * most)
    }

    // top_k
    let count = this.#candidates
    if (topK > 0 && topK <= this.#candidates) {
      if (sampling.isAdjusted && !(scores[topK - 1]! > last)) return UNDECIDED
      count = topK
      low = 0
      high = 0
    } else if (topK > 0 && topK < this.#vocabSize) {
      low = 0
    }

    // top_p and min_p: how many they keep, with as little and with as much of the rest as there may be
    let atLeast = count
    let atMost = high > 0 ? Infinity : count
    if (topP < 1) {
      atLeast = countUntil(sums, count, topP * (sums[count - 1]! + low))
      atMost = Math.min(atMost, countUntil(sums, count, topP * (sums[count - 1]! + high)))
    }
    if (minP > 0) {
      const threshold = best + Math.log(minP) * temperature
      let above = 1
      while (above < count && scores[above]! >= threshold) above++
      if (above < count || high === 0 || most < minP) {
        atLeast = Math.min(atLeast, above)
        atMost = Math.min(atMost, above)
      } else {
        low = 0
      }
    }
    if (atMost <= count) {
      if (atLeast !== atMost) return UNDECIDED
      return drawFrom(sums, atMost, chance * sums[atMost - 1]!)
    }
    // Only the rest itself may have been cut, so the candidates stand first in line as they are.
    if (topP < 1) return UNDECIDED
    const mass = sums[count - 1]!
    if (chance * (mass + high) >= mass) return UNDECIDED
    const index = drawFrom(sums, count, chance * (mass + low))
    return index === drawFrom(sums, count, chance * (mass + high)) ? index : UNDECIDED
  }
}

function isGreedy(sampling: Sampling): boolean {
  return sampling.temperature < LEAST_TEMPERATURE || sampling.topK === 1
}

function isBefore(score: number, id: number, otherScore: number, otherId: number): boolean {
  return score > otherScore || (score === otherScore && id < otherId)
}

/** How many of the running sums it takes to reach a mass; Infinity where all of them do not. */
function countUntil(sums: Float64Array, count: number, mass: number): number {
  for (let i = 0; i < count; i++) if (sums[i]! >= mass) return i + 1
  return Infinity
}

/** The first whose running sum exceeds the target; the last where a rounding error leaves none. */
function drawFrom(sums: Float64Array, count: number, target: number): number {
  let index = 0
  while (index < count - 1 && sums[index]! <= target) index++
  return index
}
