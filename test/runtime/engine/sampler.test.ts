import assert from 'node:assert/strict'
import { test } from 'node:test'

import fc from 'fast-check'

import type { SamplingDefaults } from '../../../models/manifest.ts'
import type { SamplingOptions } from '../../../runtime/protocol.ts'
import { Refusal } from '../../../runtime/engine/refusal.ts'
import { Random } from '../../../runtime/engine/sampling/random.ts'
import { Sampler } from '../../../runtime/engine/sampling/sampler.ts'
import type { Rows } from '../../../runtime/engine/sampling/sampler.ts'
import { Sampling } from '../../../runtime/engine/sampling/sampling.ts'

const VOCABULARY = 120
const CANDIDATES = 8

class Row implements Rows {
  looks = 0
  readonly #logits: Float32Array
  readonly #ids: Int32Array
  readonly #logprobs: Float32Array

  constructor(logits: readonly number[], candidates = CANDIDATES) {
    this.#logits = Float32Array.from(logits)
    const best = Math.max(...logits)
    const norm = best + Math.log(logits.reduce((sum, logit) => sum + Math.exp(logit - best), 0))
    const ranked = logits.map((_, id) => id).sort((a, b) => logits[b]! - logits[a]! || a - b)
    this.#ids = Int32Array.from(ranked.slice(0, candidates))
    this.#logprobs = Float32Array.from(this.#ids, (id) => logits[id]! - norm)
  }

  candidateIds() {
    return this.#ids
  }

  candidateLogprobs() {
    return this.#logprobs
  }

  logits() {
    this.looks++
    return this.#logits
  }
}

/** The definition, step by step, on everything. */
function reference(
  logits: readonly number[],
  options: SamplingOptions,
  prompt: readonly number[] = [],
  generated: readonly number[] = [],
): Float64Array {
  const { temperature = 1, topK = 0, topP = 1, minP = 0 } = options
  const { presencePenalty = 0, frequencyPenalty = 0, repetitionPenalty = 1 } = options
  const scores = logits.map((logit, id) => {
    let score = logit + (options.logitBias?.[id] ?? 0)
    const times = generated.filter((other) => other === id).length
    if (times > 0 || prompt.includes(id)) {
      score = score > 0 ? score / repetitionPenalty : score * repetitionPenalty
    }
    if (times > 0) score -= presencePenalty + frequencyPenalty * times
    return score / temperature
  })
  const best = Math.max(...scores)
  const ranked = scores
    .map((score, id) => ({ id, weight: Math.exp(score - best) }))
    .sort((a, b) => b.weight - a.weight || a.id - b.id)
  let kept = topK > 0 ? ranked.slice(0, topK) : ranked
  const total = kept.reduce((sum, { weight }) => sum + weight, 0)
  let mass = 0
  const end = kept.findIndex(({ weight }) => (mass += weight) >= topP * total)
  if (topP < 1 && end >= 0) kept = kept.slice(0, end + 1)
  kept = kept.filter(({ weight }) => weight >= minP)
  const sum = kept.reduce((whole, { weight }) => whole + weight, 0)
  const probabilities = new Float64Array(logits.length)
  for (const { id, weight } of kept) probabilities[id] = weight / sum
  return probabilities
}

function makeSampling(
  options: SamplingOptions,
  prompt: readonly number[] = [],
  generated: readonly number[] = [],
): Sampling {
  const sampling = new Sampling({ seed: 1, ...options }, {}, prompt, VOCABULARY)
  for (const id of generated) sampling.took(id)
  return sampling
}

/** How many standard deviations a chi-square statistic is above its mean (Wilson and Hilferty). */
function surprise(counts: Float64Array, probabilities: Float64Array, draws: number): number {
  let statistic = 0
  let cells = 0
  let rareCount = 0
  let rareExpected = 0
  for (let id = 0; id < counts.length; id++) {
    const expected = probabilities[id]! * draws
    if (expected === 0) assert.equal(counts[id], 0, `token ${id} can't be chosen`)
    if (expected < 8) {
      rareCount += counts[id]!
      rareExpected += expected
      continue
    }
    statistic += (counts[id]! - expected) ** 2 / expected
    cells++
  }
  if (rareExpected >= 8) {
    statistic += (rareCount - rareExpected) ** 2 / rareExpected
    cells++
  }
  const freedom = cells - 1
  if (freedom < 1) return 0
  const spread = 2 / (9 * freedom)
  return ((statistic / freedom) ** (1 / 3) - (1 - spread)) / Math.sqrt(spread)
}

function randomLogits(seed: number, spread: number, length = VOCABULARY): number[] {
  const random = new Random(BigInt(seed))
  return Array.from(
    { length },
    () => (random.next() + random.next() + random.next() - 1.5) * spread,
  )
}

const OPTIONS: SamplingOptions[] = [
  {},
  { temperature: 0.3 },
  { temperature: 0.8 },
  { temperature: 1.6 },
  { temperature: 4 },
  { topK: 3 },
  { topK: 40 },
  { topK: 5, temperature: 2 },
  { topP: 0.3 },
  { topP: 0.9 },
  { topP: 0.9, temperature: 0.5 },
  { topP: 0.95, temperature: 1.5 },
  { topK: 60, topP: 0.8 },
  { topK: 6, topP: 0.8, temperature: 0.7 },
  { minP: 0.2 },
  { minP: 0.01 },
  { minP: 0.05, topP: 0.9, temperature: 1.3 },
  { topK: 50, topP: 0.97, minP: 0.02, temperature: 1.2 },
  { presencePenalty: 1.5 },
  { frequencyPenalty: 0.7, temperature: 0.8 },
  { frequencyPenalty: 0.7, topP: 0.9 },
  { presencePenalty: -1 },
  { repetitionPenalty: 1.3 },
  { repetitionPenalty: 1.3, topK: 4, topP: 0.9 },
  { repetitionPenalty: 0.7 },
  { logitBias: { 3: 4, 7: -100 } },
  { logitBias: { 3: -100, 7: -1 }, topK: 5 },
  { logitBias: { 3: 2 }, presencePenalty: 0.5, frequencyPenalty: 0.5, repetitionPenalty: 1.1 },
]

test('tokens come as often as an exact sampler would choose them, with every option', () => {
  const draws = 6000
  const prompt = [1, 2, 3]
  for (const [index, options] of OPTIONS.entries()) {
    for (const spread of [2, 9]) {
      const logits = randomLogits(index * 10 + spread, spread)
      const likeliest = logits.indexOf(Math.max(...logits))
      const generated = [likeliest, likeliest, 5]
      const sampler = new Sampler(VOCABULARY, CANDIDATES)
      const sampling = makeSampling(options, prompt, generated)
      const row = new Row(logits)
      const counts = new Float64Array(VOCABULARY)
      for (let draw = 0; draw < draws; draw++) counts[sampler.choose(sampling, row, 0)]!++
      const probabilities = reference(logits, options, prompt, generated)
      const deviations = surprise(counts, probabilities, draws)
      assert(
        deviations < 4.5,
        `${JSON.stringify(options)} at ${spread}: off by ${deviations.toFixed(1)} standard deviations`,
      )
    }
  }
})

test('penalties on tokens outside of the candidates count as well', () => {
  const draws = 6000
  const logits = randomLogits(11, 3)
  const row = new Row(logits)
  const candidates = new Set(row.candidateIds())
  const others = logits.map((_, id) => id).filter((id) => !candidates.has(id))
  for (const options of [{ presencePenalty: 8 }, { presencePenalty: 8, topP: 0.9 }]) {
    const sampler = new Sampler(VOCABULARY, CANDIDATES)
    const sampling = makeSampling(options, [], others)
    const counts = new Float64Array(VOCABULARY)
    for (let draw = 0; draw < draws; draw++) counts[sampler.choose(sampling, row, 0)]!++
    assert(surprise(counts, reference(logits, options, [], others), draws) < 4.5)
  }
})

test('greedy takes the likeliest token after all penalties, the lowest id among equals', () => {
  const anyLogit = fc.integer({ min: -6, max: 6 })
  const anyLogits = fc.array(anyLogit, { minLength: 20, maxLength: 20 })
  const anyOptions = fc.record({
    presencePenalty: fc.constantFrom(0, 1, -1),
    frequencyPenalty: fc.constantFrom(0, 1, -1),
    repetitionPenalty: fc.constantFrom(1, 2, 0.5),
    bias: fc.dictionary(fc.constantFrom('0', '7', '19'), anyLogit),
  })
  const anyIds = fc.array(fc.integer({ min: 0, max: 19 }), { maxLength: 6 })
  fc.assert(
    fc.property(
      anyLogits,
      anyOptions,
      anyIds,
      anyIds,
      (logits, { bias, ...penalties }, prompt, generated) => {
        const options = { temperature: 0, ...penalties, logitBias: bias }
        const sampling = new Sampling(options, {}, prompt, logits.length)
        for (const id of generated) sampling.took(id)
        const token = new Sampler(logits.length, 4).choose(sampling, new Row(logits, 4), 0)
        const all = reference(logits, { ...options, temperature: 1 }, prompt, generated)
        assert.equal(token, all.indexOf(Math.max(...all)))
      },
    ),
    { seed: 4, numRuns: 500 },
  )
})

test('the whole row is looked at only as often as a draw falls outside of the candidates', () => {
  const logits = randomLogits(5, 6)
  const row = new Row(logits)
  const held = row.candidateLogprobs().reduce((sum, logprob) => sum + Math.exp(logprob), 0)
  const sampler = new Sampler(VOCABULARY, CANDIDATES)
  const sampling = makeSampling({})
  for (let draw = 0; draw < 5000; draw++) sampler.choose(sampling, row, 0)
  assert(held > 0.3 && held < 0.95, `the candidates hold ${held}`)
  assert(Math.abs(row.looks / 5000 - (1 - held)) < 0.03, `${row.looks} looks for ${held}`)
})

test('what top_k, min_p, a low temperature or a peaked row decide is decided by the candidates', () => {
  const peaked = randomLogits(6, 1)
  peaked[11] = 14
  const cases: [SamplingOptions, number[]][] = [
    [{ temperature: 0 }, randomLogits(7, 1)],
    [{ topK: CANDIDATES, temperature: 3 }, randomLogits(7, 1)],
    [{ topK: 1, frequencyPenalty: 0.1 }, peaked],
    [{ minP: 0.9 }, randomLogits(7, 12)],
    [{ topP: 0.5 }, peaked],
    [{ temperature: 0.05 }, randomLogits(7, 12)],
    [{ presencePenalty: 1, frequencyPenalty: 0.5, topP: 0.9 }, peaked],
  ]
  for (const [options, logits] of cases) {
    const row = new Row(logits)
    const sampler = new Sampler(VOCABULARY, CANDIDATES)
    const sampling = makeSampling(options, [], [11])
    for (let draw = 0; draw < 300; draw++) sampler.choose(sampling, row, 0)
    // Penalties are applied to the candidates' logits: one look at the row for those, another for all the rest.
    const looks = sampling.isAdjusted ? 300 : 0
    assert.equal(row.looks, looks, JSON.stringify(options))
  }
})

test('a row is never needed whole where the sampler said beforehand that it is not', () => {
  const anyOptions = fc.record(
    {
      temperature: fc.double({ min: 0, max: 3, noNaN: true }),
      topK: fc.integer({ min: 0, max: 12 }),
      topP: fc.double({ min: 0.01, max: 1, noNaN: true }),
      minP: fc.double({ min: 0, max: 1, noNaN: true }),
      presencePenalty: fc.constantFrom(0, 1, -1),
      repetitionPenalty: fc.constantFrom(1, 1.2, 0.9),
    },
    { requiredKeys: [] },
  )
  fc.assert(
    fc.property(
      anyOptions,
      fc.nat(),
      fc.constantFrom(CANDIDATES, VOCABULARY),
      (options, seed, width) => {
        const row = new Row(randomLogits(seed, 8), width)
        const sampler = new Sampler(VOCABULARY, width)
        const sampling = makeSampling(options, [1], [2, 3])
        const token = sampler.choose(sampling, row, 0)
        assert(token >= 0 && token < VOCABULARY)
        if (!sampler.mayNeedLogits(sampling)) assert.equal(row.looks, 0)
      },
    ),
    { seed: 5, numRuns: 2000 },
  )
})

test('the same seed draws the same tokens, another one others', () => {
  const draw = (seed: number | undefined) => {
    const sampler = new Sampler(VOCABULARY, CANDIDATES)
    const sampling = new Sampling(seed === undefined ? {} : { seed }, {}, [], VOCABULARY)
    const row = new Row(randomLogits(8, 2))
    return Array.from({ length: 20 }, () => sampler.choose(sampling, row, 0)).join()
  }
  assert.equal(draw(-5), draw(-5))
  assert.notEqual(draw(0), draw(1))
  assert.notEqual(draw(undefined), draw(undefined))
})

test('random numbers are uniform', () => {
  const random = new Random(42n)
  const counts = new Float64Array(64)
  for (let i = 0; i < 64_000; i++) counts[Math.floor(random.next() * 64)]!++
  assert(surprise(counts, new Float64Array(64).fill(1 / 64), 64_000) < 4)
})

test("reported log-probabilities are the model's own, whatever the sampling does to them", () => {
  const logits = randomLogits(9, 4)
  const all = reference(logits, {})
  const row = new Row(logits)
  const sampler = new Sampler(VOCABULARY, CANDIDATES)
  const likeliest = row.candidateIds()[0]!
  const unlikely = logits.indexOf(Math.min(...logits))
  for (const id of [likeliest, unlikely]) {
    const { logprob, top } = sampler.report(id, row, 0, 3)
    assert(Math.abs(logprob - Math.log(all[id]!)) < 1e-4)
    assert.deepEqual(
      top.map((entry) => entry.id),
      Array.from(row.candidateIds().subarray(0, 3)),
    )
  }
})

test("what a request leaves open is taken from the version's defaults", () => {
  const defaults: SamplingDefaults = { temperature: 0.2, topK: 7, topP: 0.8, minP: 0.1 }
  const { temperature, topK, topP, minP } = new Sampling({ topP: 0.5 }, defaults, [], VOCABULARY)
  assert.deepEqual({ temperature, topK, topP, minP }, { ...defaults, topP: 0.5 })
})

test('an absurd option is refused by name, with what was given and what is allowed', () => {
  const cases: [SamplingOptions, RegExp][] = [
    [{ temperature: -1 }, /temperature must be at least 0; got -1/],
    [{ topK: 1.5 }, /topK must be a whole number/],
    [{ topP: 0 }, /topP must be above 0 and at most 1; got 0/],
    [{ minP: 2 }, /minP must be from 0 to 1; got 2/],
    [{ seed: 0.5 }, /seed must be a whole number/],
    [{ repetitionPenalty: 0 }, /repetitionPenalty must be above 0/],
    [{ presencePenalty: Infinity }, /presencePenalty must be a finite number/],
    [{ logprobs: 21 }, /logprobs must be a whole number from 0 to 20; got 21/],
    [{ logitBias: { 120: 1 } }, /token 120.*0 to 119/],
    [{ logitBias: { 4: NaN } }, /logitBias\.4 must be a finite number/],
  ]
  for (const [options, message] of cases) {
    assert.throws(
      () => new Sampling(options, {}, [], VOCABULARY),
      (error) => error instanceof Refusal && message.test(error.message),
      JSON.stringify(options),
    )
  }
})

test('logits that are not numbers are a failure and not an answer', () => {
  const row = new Row(Array.from({ length: VOCABULARY }, () => NaN))
  const sampler = new Sampler(VOCABULARY, CANDIDATES)
  assert.throws(() => sampler.choose(makeSampling({}), row, 0), /not numbers/)
})
