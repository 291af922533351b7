// How much a precision costs: perplexity on a fixed text, against fp32.
//
// The text (perplexity.txt) is none that int8 is calibrated with.

import type { Precision } from '../../../models/manifest.ts'
import type { Progress } from '../progress.ts'
import { readTextIds } from '../prompts.ts'
import { table } from '../table.ts'
import type { BenchModel } from '../versions.ts'
import { compute } from './runner-worker.ts'

export interface PerplexityFigures {
  precision: Precision
  perplexity: number
  tokens: number
  /** above fp32's, as a share of it */
  increase: number
}

export async function measurePerplexities(
  model: BenchModel,
  { threads, progress, signal }: { threads: number; progress: Progress; signal: AbortSignal },
): Promise<PerplexityFigures[]> {
  const figures: PerplexityFigures[] = []
  let exact: number | null = null
  for (const [precision, version] of model.versions) {
    progress(`perplexity: ${precision}`)
    const ids = await readTextIds(version)
    const ask = { type: 'perplexity' as const, version, threads, ids }
    const { perplexity, tokens } = await compute<'perplexity'>(ask, signal)
    // fp32 comes first.
    exact ??= perplexity
    figures.push({ precision, perplexity, tokens, increase: perplexity / exact - 1 })
  }
  return figures
}

export function perplexityTable(figures: readonly PerplexityFigures[]): string {
  return table(
    ['precision', 'perplexity', 'against fp32', 'tokens'],
    figures.map(({ precision, perplexity, tokens, increase }) => [
      precision,
      perplexity.toFixed(4),
      percent(increase),
      String(tokens),
    ]),
  )
}

export function percent(share: number): string {
  return `${share < 0 ? '-' : '+'}${Math.abs(share * 100).toFixed(2)} %`
}
