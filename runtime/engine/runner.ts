// What the loop needs of whatever computes logits: the seam between scheduling and tensors.
//
// A runner owns `slots` stretches of KV cache, each with room for `capacity` tokens. Slots are named by number; live
// sequences occupy slots 0…n−1 so that a decode step is one contiguous view. The runner computes, copies and forgets; who
// is in which slot is the scheduler's knowledge. Calls run to their end before they return: between them is where
// requests arrive and are cancelled.
//
// Knows: token ids, slots, logits. Does not know: sequences, text, sampling, requests.

import type { PackedAdapter } from '../graph/packed-adapter.ts'

export interface Runner {
  readonly slots: number
  /** most tokens of one slot */
  readonly capacity: number
  readonly vocabSize: number
  /** candidates a row (64, or the vocabulary's size where that is smaller) */
  readonly candidates: number

  /**
   * Computes `tokens` in `slot` behind the `past` tokens that it holds already.
   * With `output` the last token's row is row 0 of the result; without, nothing is read back.
   * @param adapter the place that `adapters` gave one; 0 or absent is none
   */
  prefill(
    slot: number,
    tokens: ArrayLike<number>,
    past: number,
    output: RowOutput,
    adapter?: number,
  ): void

  /**
   * One token for each of slots 0…tokens.length−1: tokens[i] is computed at position lengths[i] of slot i; row i of the
   * result belongs to slot i, and went through adapters[i].
   */
  decode(
    tokens: ArrayLike<number>,
    lengths: ArrayLike<number>,
    output: RowOutput,
    adapters?: ArrayLike<number>,
  ): void

  /** the most likely tokens of a row of the last call, best first: ids and natural-log probabilities of the raw logits */
  candidateIds(row: number): ArrayLike<number>
  candidateLogprobs(row: number): Float32Array
  /** the raw logits of a row; only after a call with output 'logits'; valid until the next call */
  logits(row: number): Float32Array

  /** copies the first `length` tokens' keys and values of one slot over those of another */
  copy(from: number, to: number, length: number): void
  /** absent where rows can't go through any */
  readonly adapters?: RunnerAdapters
  close(): void
}

/** The adapters that rows may go through: no others than those whose place was given and not taken back. */
export interface RunnerAdapters {
  /** Makes what the first of them needs, on a thread of its own; before any is added. */
  open(): Promise<void>
  /** @returns its place, from 1 on; @throws where it does not fit */
  add(adapter: PackedAdapter): number
  remove(place: number): void
}

/** none: no row is wanted; candidates: top ids and log-probabilities; logits: those and the whole row */
export type RowOutput = 'none' | 'candidates' | 'logits'
