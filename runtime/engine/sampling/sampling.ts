// How one sequence's tokens are chosen: the options, checked and complete, and what they need to remember.
//
// A row of logits is first adjusted, in the order of llama.cpp and vLLM: logit_bias is added; what was seen already is
// made less likely by the repetition penalty, then by the frequency and presence penalties. What happens to the adjusted
// row is in sampler.ts.
//
// Knows: options, token ids. Does not know: rows, text.

import { randomBytes } from 'node:crypto'

import type { SamplingDefaults } from '../../../models/manifest.ts'
import type { SamplingOptions } from '../../protocol.ts'
import { Refusal } from '../refusal.ts'
import { Random } from './random.ts'

const MAX_LOGPROBS = 20

export class Sampling {
  /** 0 is greedy */
  readonly temperature: number
  /** 0 keeps all */
  readonly topK: number
  readonly topP: number
  readonly minP: number
  /** alternatives to report for each token; null: no log-probabilities at all */
  readonly logprobs: number | null
  readonly random: Random
  /** bias or penalties change the row before it is sampled */
  readonly isAdjusted: boolean
  /** … and may make a token more likely than the model does */
  readonly lifts: boolean

  readonly #presence: number
  readonly #frequency: number
  readonly #repetition: number
  readonly #bias: Map<number, number> | null
  // token → times it was generated; 0: it was in the prompt only. Null where no penalty asks.
  readonly #seen: Map<number, number> | null

  /** @throws Refusal naming the option, what was given and what is allowed */
  constructor(
    options: SamplingOptions,
    defaults: SamplingDefaults,
    prompt: readonly number[],
    vocabSize: number,
  ) {
    const read = (name: NumericOption, fallback: number, allowed: string, isAllowed: Check) =>
      readNumber(name, options[name], fallback, allowed, isAllowed)
    const natural = (value: number) => Number.isInteger(value) && value >= 0
    this.temperature = read('temperature', defaults.temperature ?? 1, 'at least 0', atLeastZero)
    this.topK = read('topK', defaults.topK ?? 0, 'a whole number, 0 for all tokens', natural)
    this.topP = read('topP', defaults.topP ?? 1, 'above 0 and at most 1', (p) => p > 0 && p <= 1)
    this.minP = read('minP', defaults.minP ?? 0, 'from 0 to 1', (p) => p >= 0 && p <= 1)
    this.#presence = read('presencePenalty', 0, 'a finite number', Number.isFinite)
    this.#frequency = read('frequencyPenalty', 0, 'a finite number', Number.isFinite)
    const repetition = defaults.repetitionPenalty ?? 1
    this.#repetition = read('repetitionPenalty', repetition, 'above 0', (value) => value > 0)
    const { logprobs, seed } = options
    this.logprobs =
      logprobs === undefined
        ? null
        : read('logprobs', 0, `a whole number from 0 to ${MAX_LOGPROBS}`, (count) => {
            return natural(count) && count <= MAX_LOGPROBS
          })
    if (seed !== undefined) read('seed', 0, 'a whole number', Number.isInteger)
    this.random = new Random(seed === undefined ? randomBytes(8).readBigUInt64LE() : BigInt(seed))
    this.#bias = readBias(options.logitBias, vocabSize)

    const penalises = this.#presence !== 0 || this.#frequency !== 0
    const scales = this.#repetition !== 1
    this.#seen = scales || penalises ? new Map() : null
    if (scales) for (const id of prompt) this.#seen?.set(id, 0)
    this.isAdjusted = this.#seen !== null || this.#bias !== null
    this.lifts =
      this.#presence < 0 ||
      this.#frequency < 0 ||
      this.#repetition < 1 ||
      [...(this.#bias?.values() ?? [])].some((bias) => bias > 0)
  }

  /** Remembers that a token was generated. */
  took(id: number): void {
    this.#seen?.set(id, (this.#seen.get(id) ?? 0) + 1)
  }

  adjust(id: number, logit: number): number {
    const biased = logit + (this.#bias?.get(id) ?? 0)
    const times = this.#seen?.get(id)
    if (times === undefined) return biased
    const scaled = biased > 0 ? biased / this.#repetition : biased * this.#repetition
    return times === 0 ? scaled : scaled - this.#presence - this.#frequency * times
  }

  /** Adjusts a whole row in place. */
  adjustRow(row: Float32Array): void {
    if (this.#seen) for (const id of this.#seen.keys()) row[id] = this.adjust(id, row[id]!)
    if (!this.#bias) return
    for (const id of this.#bias.keys()) {
      if (!this.#seen?.has(id)) row[id] = this.adjust(id, row[id]!)
    }
  }
}

type NumericOption = Exclude<keyof SamplingOptions, 'logitBias'>
type Check = (value: number) => boolean

const atLeastZero: Check = (value) => Number.isFinite(value) && value >= 0

function readNumber(
  name: NumericOption,
  value: number | undefined,
  fallback: number,
  allowed: string,
  isAllowed: Check,
): number {
  if (value === undefined) return fallback
  if (typeof value === 'number' && isAllowed(value)) return value
  throw new Refusal('invalid_request', `${name} must be ${allowed}; got ${JSON.stringify(value)}.`)
}

function readBias(
  biases: Record<number, number> | undefined,
  vocabSize: number,
): Map<number, number> | null {
  const map = new Map<number, number>()
  for (const [key, bias] of Object.entries(biases ?? {})) {
    const id = Number(key)
    if (!Number.isInteger(id) || id < 0 || id >= vocabSize) {
      const allowed = `its tokens are 0 to ${vocabSize - 1}`
      const message = `logitBias names the token ${key}, which this version does not have: ${allowed}.`
      throw new Refusal('invalid_request', message)
    }
    if (typeof bias !== 'number' || !Number.isFinite(bias)) {
      const given = JSON.stringify(bias)
      throw new Refusal(
        'invalid_request',
        `logitBias.${key} must be a finite number; got ${given}.`,
      )
    }
    if (bias !== 0) map.set(id, bias)
  }
  return map.size > 0 ? map : null
}
