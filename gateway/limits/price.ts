// What an answer cost, in US dollars.
//
// Rows, sums of hours and budgets all keep billionths of a dollar. They are made here, once: whoever rounded for itself
// would be a billionth apart from the others now and then, and a bill would not be the sum of its rows.
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
export const NANO_DOLLARS = 1e9
/** what a number has for sure: a half that was reached by multiplying is one again */
const DIGITS = 15

/** @param price null: nobody said, which counts as nothing @returns dollars, in whole billionths, halves up */
export function costOf(consumption: Consumption, price: Price | null): number {
  if (!price) return 0
  const { promptTokens, completionTokens, seconds = 0 } = consumption
  // What an upstream says of its cache is never more than the prompt, whatever it says.
  const cachedTokens = Math.min(consumption.cachedTokens ?? 0, promptTokens)
  const { input, cachedInput = input, output, second = 0 } = price
  const ofTokens =
    (promptTokens - cachedTokens) * input + cachedTokens * cachedInput + completionTokens * output
  const nanoDollars = ofTokens * (NANO_DOLLARS / MILLION) + seconds * second * NANO_DOLLARS
  return Math.round(Number(nanoDollars.toPrecision(DIGITS))) / NANO_DOLLARS
}
