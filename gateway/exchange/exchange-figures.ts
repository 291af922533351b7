// What is reckoned of an exchange when it closes: the pace of its answer, tokens that nobody counted, its cost.
//
// Knows: the record. Does not know: who tells it things, who reads it.

import { costOf } from '../limits/price.ts'
import type { ExchangeRecord } from './exchange-record.ts'
import type { Price } from '../routing/route.ts'

const CHARACTERS_PER_TOKEN = 4

/**
 * Milliseconds between two tokens, on average over all choices; null where there is no second one.
 * @param startedMs when the request came, to the microsecond
 * @param lastDeltaMs when each choice's newest delta came
 */
export function meanGapMs(
  record: ExchangeRecord,
  startedMs: number,
  lastDeltaMs: readonly number[],
): number | null {
  const { timeToFirstTokenMs, completionTokens, streamed } = record
  if (!streamed || timeToFirstTokenMs === null || !completionTokens) return null
  const choices = lastDeltaMs.filter((ms) => ms !== undefined)
  const gaps = completionTokens - choices.length
  if (gaps < 1) return null
  const begunMs = choices.length * (startedMs + timeToFirstTokenMs)
  return (choices.reduce((sum, ms) => sum + ms, 0) - begunMs) / gaps
}

/** Of an answer that was begun and that nobody measured: by its length. */
export function fillTokens(record: ExchangeRecord, estimatePrompt: () => number) {
  if (record.answer === null && record.toolCalls === null) return
  const isKnown = record.promptTokens !== null && record.completionTokens !== null
  record.promptTokens ??= estimatePrompt()
  record.completionTokens ??= answerTokens(record)
  record.cachedTokens ??= 0
  record.isUsageEstimated = !isKnown
}

/** Calls of tools included. */
function answerTokens({ answer, toolCalls }: ExchangeRecord): number {
  let characters = 0
  for (const text of answer ?? []) characters += text.length
  for (const call of (toolCalls ?? []).flat()) {
    characters += call.name.length + call.arguments.length
  }
  return Math.ceil(characters / CHARACTERS_PER_TOKEN)
}

/**
 * In US dollars; null where nobody has a price, or nothing was taken up.
 *
 * Upstreams don't tell how long they computed, and nobody does for an answer that was left: it is as long as it took.
 *
 * @param askedMs when whoever answers was asked
 */
export function costOfExchange(
  record: ExchangeRecord,
  price: Price | null,
  askedMs: number,
): number | null {
  const { promptTokens, cachedTokens, completionTokens, prefillMs, decodeMs, queueMs } = record
  if (promptTokens === null || price === null) return null
  if (record.cache === 'hit') return 0
  const tookMs = record.closedAt.getTime() - askedMs - (queueMs ?? 0)
  const computedMs = prefillMs === null ? Math.max(0, tookMs) : prefillMs + (decodeMs ?? 0)
  const consumption = {
    promptTokens,
    cachedTokens: cachedTokens ?? 0,
    completionTokens: completionTokens ?? 0,
    seconds: computedMs / 1000,
  }
  return costOf(consumption, price)
}
