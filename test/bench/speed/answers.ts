// What came back of a load of requests and when, and the rates that follow from it.
//
// Knows: counts and times. Does not know: engines, HTTP.

import { median, quantile, sum } from '../statistics.ts'

interface Delta {
  /** milliseconds on the reader's clock */
  atMs: number
  tokens: number
}

export interface Answer {
  sentMs: number
  endMs: number
  deltas: Delta[]
  promptTokens: number
  cachedTokens: number
  completionTokens: number
}

/** Prompt tokens a second of requests that came one at a time, from the request to the end of its only token. */
export function prefillRate(answer: Answer): number {
  return perSecond(answer.promptTokens, answer.sentMs, answer.endMs)
}

/**
 * Tokens a second while all sequences decode: from when the last of them has its first token until the first of them
 * ends. Filling and emptying the batch are left out, as they are in llama.cpp's figure.
 */
export function decodeRate(answers: readonly Answer[]): number {
  const fromMs = Math.max(...answers.map(({ deltas }) => deltas[0]?.atMs ?? Infinity))
  const toMs = Math.min(...answers.map(({ deltas }) => deltas.at(-1)?.atMs ?? -Infinity))
  const counted = answers.flatMap(({ deltas }) =>
    deltas.filter(({ atMs }) => atMs > fromMs && atMs <= toMs).map(({ tokens }) => tokens),
  )
  if (!(toMs > fromMs)) throw new Error('The sequences were never all decoding at once.')
  return perSecond(sum(counted), fromMs, toMs)
}

/** Generated tokens a second over the whole load: prompts, filling and emptying the batch included. */
export function loadRate(answers: readonly Answer[]): number {
  const fromMs = Math.min(...answers.map(({ sentMs }) => sentMs))
  const toMs = Math.max(...answers.map(({ endMs }) => endMs))
  return perSecond(sum(answers.map(({ completionTokens }) => completionTokens)), fromMs, toMs)
}

export interface Delays {
  p50: number
  p99: number
}

export function firstTokenMs(answers: readonly Answer[]): Delays {
  const delays = answers.flatMap(({ sentMs, deltas }) =>
    deltas.slice(0, 1).map(({ atMs }) => atMs - sentMs),
  )
  return { p50: median(delays), p99: quantile(delays, 0.99) }
}

export function interTokenMs(answers: readonly Answer[]): Delays {
  const gaps = answers.flatMap(({ deltas }) =>
    deltas.slice(1).map(({ atMs }, index) => atMs - deltas[index]!.atMs),
  )
  return { p50: median(gaps), p99: quantile(gaps, 0.99) }
}

/** A prompt that was not computed would flatter every figure. */
export function checkUncached(answers: readonly Answer[]): void {
  const cached = answers.find(({ cachedTokens }) => cachedTokens > 0)
  if (cached) throw new Error(`${cached.cachedTokens} tokens of a prompt came from the cache.`)
}

const perSecond = (count: number, fromMs: number, toMs: number) => (count / (toMs - fromMs)) * 1000
