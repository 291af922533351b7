// What the numbers of one text mean: a vector, a score, labels, or names of things in it.
//
// Knows: logits and labels. Does not know: how they were computed, requests.

import type { EncoderOutput } from '../../models/encoder.ts'
import type { Entity } from '../protocol.ts'
import type { Rows } from './runner.ts'

/** The logistic function of a text's one logit. */
export function scoreOf(rows: Rows, text: number): number {
  return logistic(rows.values[rows.firstRow(text)]!)
}

/** A probability for each label. */
export function probabilitiesOf(
  rows: Rows,
  text: number,
  { isMultiLabel }: Extract<EncoderOutput, { kind: 'classify' }>,
): number[] {
  const logits = rowOf(rows, rows.firstRow(text))
  return isMultiLabel ? Array.from(logits, logistic) : softmax(logits)
}

/** Where each token is in the text: half-open, in UTF-16 code units; null for marks. */
export type Span = readonly [start: number, end: number] | null

/**
 * Joins neighbouring tokens of one label, as transformers' aggregation "simple" does: `B-` begins anew, `I-` goes on with
 * what it is equal to, and `O` is nothing.
 */
export function entitiesOf(
  rows: Rows,
  nth: number,
  { text, spans, labels }: { text: string; spans: readonly Span[]; labels: string[] },
): Entity[] {
  const groups: { label: string; start: number; end: number; scores: number[] }[] = []
  for (const [token, span] of spans.entries()) {
    if (span === null) continue
    const probabilities = softmax(rowOf(rows, rows.firstRow(nth) + token))
    const best = probabilities.indexOf(Math.max(...probabilities))
    const [begins, label] = readLabel(labels[best]!)
    const score = probabilities[best]!
    const last = groups.at(-1)
    if (last && !begins && last.label === label) {
      last.end = span[1]
      last.scores.push(score)
    } else {
      groups.push({ label, start: span[0], end: span[1], scores: [score] })
    }
  }
  return groups
    .filter(({ label }) => label !== 'O')
    .map(({ label, start, end, scores }) => ({
      label,
      score: scores.reduce((sum, score) => sum + score, 0) / scores.length,
      word: text.slice(start, end),
      start,
      end,
    }))
}

function readLabel(label: string): [begins: boolean, label: string] {
  const [, position, rest] = /^([BI])-(.*)$/.exec(label) ?? []
  return rest === undefined ? [false, label] : [position === 'B', rest]
}

function rowOf({ values, width }: Rows, row: number): Float32Array {
  return values.subarray(row * width, (row + 1) * width)
}

function softmax(logits: Float32Array): number[] {
  const largest = Math.max(...logits)
  const shares = Array.from(logits, (logit) => Math.exp(logit - largest))
  const total = shares.reduce((sum, share) => sum + share, 0)
  return shares.map((share) => share / total)
}

const logistic = (logit: number) => 1 / (1 + Math.exp(-logit))
