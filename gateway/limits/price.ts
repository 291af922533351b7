// What an answer cost, in US dollars.
//
// Knows: prices. Does not know: who pays.

import type { Price } from '../routing/route.ts'

export interface Consumption {
  promptTokens: number
  /** part of promptTokens */
  cachedTokens?: number
  completionTokens: number
  /** of computing, for what is paid by time */
  seconds?: number
}

const MILLION = 1e6

/** @param price null: nobody said, which counts as nothing */
export function costOf(consumption: Consumption, price: Price | null): number {
  if (!price) return 0
  const { promptTokens, completionTokens, seconds = 0 } = consumption
  // What an upstream says of its cache is never more than the prompt, whatever it says.
  const cachedTokens = Math.min(consumption.cachedTokens ?? 0, promptTokens)
  const { input, cachedInput = input, output, second = 0 } = price
  return (
    ((promptTokens - cachedTokens) * input +
      cachedTokens * cachedInput +
      completionTokens * output) /
      MILLION +
    seconds * second
  )
}
