// What Headrace promises of speed and quality, with what was measured now, of the precision that is the default.

import { DEFAULT_PRECISION } from '../../models/manifest.ts'
import { percent } from './quality/perplexity-section.ts'
import type { PerplexityFigures } from './quality/perplexity-section.ts'
import type { ReferenceFigures } from './quality/reference-section.ts'
import type { GatewayFigures } from './speed/gateway-section.ts'
import type { SpeedFigures } from './speed/section.ts'
import { table } from './table.ts'

/** What was measured; null or absent where it was not. */
export interface Results {
  speed?: SpeedFigures
  gateway?: GatewayFigures[]
  perplexity?: PerplexityFigures[]
  reference?: { reason: string } | { figures: ReferenceFigures[] }
}

export interface Bar {
  what: string
  bar: string
  measured: string
  /** null where it was not measured */
  isMet: boolean | null
}

const LEAST_SPEED: [speedCase: string, ratio: number][] = [
  ['prefill 512', 1.5],
  ['decode 1', 1.0],
  ['decode 8', 1.3],
  ['decode 32', 1.3],
]
const LEAST_GATEWAY_SHARE = 0.9
const MOST_LOOP_DELAY_MS = 20
const LOOP_DELAY_STREAMS = 32
const MOST_PERPLEXITY: [precision: string, increase: number][] = [
  ['int8', 0.01],
  ['int4', 0.05],
]
const MOST_LOGIT_DIFFERENCE = 1e-3

export function judge({ speed, gateway, perplexity, reference }: Results): Bar[] {
  const bars = LEAST_SPEED.map(([speedCase, least]) => {
    const found = speed?.ratios.find(
      (one) => one.precision === DEFAULT_PRECISION && one.speedCase === speedCase,
    )
    const measured = found && `${found.ratio.toFixed(2)}× ${found.rival}`
    const what = `${DEFAULT_PRECISION} ${speedCase} against llama.cpp's best`
    return bar(what, `≥ ${least.toFixed(1)}`, measured, found && found.ratio >= least)
  })
  const served = gateway?.filter(({ precision }) => precision === DEFAULT_PRECISION) ?? []
  for (const { sequences, ratio } of served) {
    const what = `${DEFAULT_PRECISION} through the gateway, ${sequences} streams, of the engine's tokens/s`
    const least = `≥ ${LEAST_GATEWAY_SHARE * 100} %`
    const measured = `${(ratio * 100).toFixed(1)} %`
    bars.push(bar(what, least, measured, ratio >= LEAST_GATEWAY_SHARE))
  }
  if (served.length === 0) bars.push(bar("the gateway's share of the engine's tokens/s", '≥ 90 %'))

  const delays = served
    .filter(({ sequences }) => sequences === LOOP_DELAY_STREAMS)
    .flatMap(({ loopDelaysMs }) => loopDelaysMs)
  const delay = delays.length > 0 ? Math.max(...delays) : undefined
  bars.push(
    bar(
      `event loop of the gateway, p99 delay, ${LOOP_DELAY_STREAMS} streams`,
      `< ${MOST_LOOP_DELAY_MS} ms`,
      delay === undefined ? undefined : `${delay.toFixed(1)} ms`,
      delay === undefined ? undefined : delay < MOST_LOOP_DELAY_MS,
    ),
  )
  for (const [precision, most] of MOST_PERPLEXITY) {
    const found = perplexity?.find((one) => one.precision === precision)
    bars.push(
      bar(
        `${precision} perplexity against fp32`,
        `within ${most * 100} %`,
        found && percent(found.increase),
        found && found.increase <= most,
      ),
    )
  }
  const compared = reference && 'figures' in reference ? reference.figures : []
  const difference = Math.max(...compared.map(({ logitDifference }) => logitDifference))
  const identical = compared.filter(
    (one) => one.sameTokens === one.tokens && one.isTextSame && one.arePromptIdsSame,
  ).length
  const isCompared = compared.length > 0
  bars.push(
    bar(
      'fp32 logits against PyTorch',
      `≤ ${MOST_LOGIT_DIFFERENCE}`,
      isCompared ? difference.toExponential(1) : undefined,
      isCompared ? difference <= MOST_LOGIT_DIFFERENCE : undefined,
    ),
    bar(
      'prompts with 64 identical greedy tokens, and the same text from the engine',
      'all',
      isCompared ? `${identical} of ${compared.length}` : undefined,
      isCompared ? identical === compared.length : undefined,
    ),
  )
  return bars
}

export function barsTable(bars: readonly Bar[]): string {
  return table(
    ['promise', 'bar', 'measured', ''],
    bars.map(({ what, bar, measured, isMet }) => {
      const verdict = isMet === null ? 'not measured' : isMet ? 'pass' : 'FALLS SHORT'
      return [what, bar, measured, verdict]
    }),
  )
}

function bar(what: string, bar: string, measured?: string, isMet?: boolean): Bar {
  return { what, bar, measured: measured ?? '–', isMet: isMet ?? null }
}
