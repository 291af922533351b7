// Chooses a token from a whole row of logits: what sampler.ts falls back on where a row's candidates prove too little.
//
// Nothing is sorted. Where the nucleus ends is found by putting the tokens' weights into bins by size and looking closely
// at one bin only, which takes a fraction of what sorting a vocabulary does.
//
// Knows: rows, Sampling. Does not know: candidates, except that they come first in line.

import type { Sampling } from './sampling.ts'

// 32 bins for each factor of e: a bin of the nucleus's edge holds a few hundred tokens of a large vocabulary. The last one
// takes all below e^-64 of the likeliest, which no draw with 53 bits can tell from nothing.
const BINS_PER_NAT = 32
const BINS = 64 * BINS_PER_NAT

export class WholeRow {
  readonly #adjusted: Float32Array
  // of the row at hand
  #scores: Float32Array
  readonly #weights: Float64Array
  readonly #bins: Int16Array
  readonly #binMass = new Float64Array(BINS)
  readonly #binCount = new Int32Array(BINS)
  // the last that holds anything
  #lastBin = 0

  constructor(vocabSize: number) {
    this.#adjusted = new Float32Array(vocabSize)
    this.#scores = this.#adjusted
    this.#weights = new Float64Array(vocabSize)
    this.#bins = new Int16Array(vocabSize)
  }

  /**
   * @param chance uniform in [0, 1)
   * @param first tokens that stand first in line, in this order; the others follow by id. Where the row isn't adjusted,
   *   the first of them is the likeliest
   */
  choose(
    logits: Float32Array,
    sampling: Sampling,
    temperature: number,
    chance: number,
    first: Int32Array,
  ): number {
    const weights = this.#weights
    let scores = logits
    let bestId = first[0]!
    if (sampling.isAdjusted) {
      scores = this.#adjusted
      scores.set(logits)
      sampling.adjustRow(scores)
      bestId = likeliest(scores)
    }
    this.#scores = scores
    if (temperature === 0) return bestId

    const best = scores[bestId]!
    const power = 1 / temperature
    for (let id = 0; id < scores.length; id++) {
      weights[id] = Math.exp((scores[id]! - best) * power)
    }
    if (sampling.topK > 0 || sampling.topP < 1) this.#cut(best, power, sampling)
    let total = 0
    for (let id = 0; id < weights.length; id++) {
      if (weights[id]! < sampling.minP) weights[id] = 0
      total += weights[id]!
    }

    const target = chance * total
    let sum = 0
    for (let i = 0; i < first.length; i++) {
      const id = first[i]!
      sum += weights[id]!
      if (sum > target) return id
      weights[id] = 0
    }
    for (let id = 0; id < weights.length; id++) {
      sum += weights[id]!
      if (sum > target) return id
    }
    // Sums in another order may fall short of the total by a rounding error.
    return bestId
  }

  /** Gives weight 0 to what top_k and top_p leave out. */
  #cut(best: number, power: number, { topK, topP }: Sampling): void {
    const scores = this.#scores
    const weights = this.#weights
    const bins = this.#bins
    const binMass = this.#binMass
    const binCount = this.#binCount
    binMass.fill(0)
    binCount.fill(0)
    let lastBin = 0
    for (let id = 0; id < scores.length; id++) {
      const bin = binOf((best - scores[id]!) * power)
      bins[id] = bin
      binMass[bin] = binMass[bin]! + weights[id]!
      binCount[bin] = binCount[bin]! + 1
      if (bin > lastBin) lastBin = bin
    }
    this.#lastBin = lastBin
    let edge = this.#edge(topK > 0 ? topK : scores.length, Infinity)
    if (topP < 1) edge = this.#edge(edge.count, topP * edge.mass)
    const edgeScore = scores[edge.id]!
    for (let id = 0; id < scores.length; id++) {
      const isKept = scores[id]! > edgeScore || (scores[id] === edgeScore && id <= edge.id)
      if (!isKept) weights[id] = 0
    }
  }

  /** The last token that is kept when tokens are taken, likeliest first, until there are `count` of them or this mass. */
  #edge(count: number, mass: number) {
    let bin = 0
    let taken = 0
    let sum = 0
    while (
      bin < this.#lastBin &&
      taken + this.#binCount[bin]! < count &&
      sum + this.#binMass[bin]! < mass
    ) {
      taken += this.#binCount[bin]!
      sum += this.#binMass[bin]!
      bin++
    }
    let id = 0
    for (id of this.#membersOf(bin)) {
      taken++
      sum += this.#weights[id]!
      if (taken >= count || sum >= mass) break
    }
    return { id, count: taken, mass: sum }
  }

  /** The tokens of a bin, likeliest first. */
  #membersOf(bin: number): number[] {
    const scores = this.#scores
    const bins = this.#bins
    const members: number[] = []
    for (let id = 0; id < bins.length; id++) if (bins[id] === bin) members.push(id)
    return members.sort((a, b) => scores[b]! - scores[a]! || a - b)
  }
}

/** The lowest id among equals. */
function likeliest(scores: Float32Array): number {
  let bestId = 0
  for (let id = 1; id < scores.length; id++) if (scores[id]! > scores[bestId]!) bestId = id
  return bestId
}

/** @param nats how far below the likeliest; log-probabilities are rounded, so it may be a hair above */
function binOf(nats: number): number {
  return Math.min(BINS - 1, Math.max(0, Math.floor(nats * BINS_PER_NAT)))
}
