// Load time, memory and speed of each precision through the engine, and of llama.cpp on the same weights beside them.

import type { Progress } from '../progress.ts'
import type { Prompts } from '../prompts.ts'
import { LlamaCpp } from '../llama-cpp/contestant.ts'
import type { Quantisation } from '../llama-cpp/quantisations.ts'
import { figure, megabytes, table } from '../table.ts'
import type { BenchModel } from '../versions.ts'
import { DECODE_PROMPT_TOKENS, PREFILL_TOKENS, SEQUENCES, speedCases } from './case.ts'
import type { Contestant } from './case.ts'
import { BenchEngine } from './engine.ts'
import { headraceContestant } from './headrace.ts'
import { runRounds } from './round-robin.ts'
import type { Measured } from './round-robin.ts'

export interface Loading {
  precision: string
  /** from the start of the process until it answers, and the engine's own share of that */
  loadMs: { total: number; own: number }
  /** resident, mapped weights included */
  loadedBytes: number | null
  afterRunBytes: number | null
  weightBytes: number
}

/** A precision in one case, against whatever of llama.cpp is fastest there. */
export interface Ratio {
  precision: string
  speedCase: string
  rival: string
  /** medians */
  ratio: number
  /** best rounds of both */
  bestRatio: number
}

export interface SpeedFigures {
  loading: Loading[]
  measured: Measured[]
  ratios: Ratio[]
}

export interface SpeedOptions {
  threads: number
  rounds: number
  generatedTokens: number
  /** none: ours alone */
  quantisations: readonly Quantisation[]
  progress: Progress
  signal: AbortSignal
}

const OURS = 'headrace '

export async function measureSpeed(
  model: BenchModel,
  prompts: Prompts,
  options: SpeedOptions,
): Promise<SpeedFigures> {
  const { threads, generatedTokens, quantisations, progress, signal } = options
  await using processes = new AsyncDisposableStack()
  const contestants: Contestant[] = []
  const engines: { engine: BenchEngine; loading: Loading }[] = []
  for (const [precision, version] of model.versions) {
    progress(`speed: loading ${precision}`)
    const engine = processes.use(await BenchEngine.start(version, threads, signal))
    const loadedBytes = await engine.residentBytes()
    const weightBytes = version.manifest.files[version.manifest.graph.dataFile ?? '']?.bytes ?? 0
    const { loadMs } = engine
    const loading = { precision, loadMs, loadedBytes, afterRunBytes: null, weightBytes }
    engines.push({ engine, loading })
    contestants.push(headraceContestant(engine, prompts))
  }
  for (const quantisation of quantisations) {
    progress(`speed: loading llama.cpp ${quantisation.name}`)
    const contextTokens = Math.max(PREFILL_TOKENS, DECODE_PROMPT_TOKENS + generatedTokens)
    const sequences = Math.max(...SEQUENCES)
    const sizes = { threads, sequences, contextTokens, signal }
    const llama = processes.use(await LlamaCpp.start(quantisation, sizes))
    contestants.push(...llama.contestants())
  }
  const measured = await runRounds(contestants, speedCases(generatedTokens), options)
  for (const { engine, loading } of engines) loading.afterRunBytes = await engine.residentBytes()
  return {
    loading: engines.map(({ loading }) => loading),
    measured,
    ratios: compare(measured),
  }
}

function compare(measured: readonly Measured[]): Ratio[] {
  return measured.filter(isOurs).flatMap((our) => {
    const rivals = measured.filter((their) => !isOurs(their) && their.speedCase === our.speedCase)
    const rival = rivals.toSorted((a, b) => b.median - a.median)[0]
    if (!rival) return []
    return {
      precision: our.contestant.slice(OURS.length),
      speedCase: our.speedCase,
      rival: rival.contestant,
      ratio: our.median / rival.median,
      bestRatio: our.best / Math.max(...rivals.map(({ best }) => best)),
    }
  })
}

const isOurs = ({ contestant }: Measured) => contestant.startsWith(OURS)

export function loadingTable(loading: readonly Loading[]): string {
  const size = (bytes: number | null) => (bytes === null ? '–' : megabytes(bytes))
  return table(
    ['precision', 'weights MiB', 'load ms', 'of it engine', 'RSS MiB loaded', 'after the runs'],
    loading.map(({ precision, loadMs, loadedBytes, afterRunBytes, weightBytes }) => [
      precision,
      megabytes(weightBytes),
      loadMs.total.toFixed(0),
      loadMs.own.toFixed(0),
      size(loadedBytes),
      size(afterRunBytes),
    ]),
  )
}

export function speedTable(measured: readonly Measured[]): string {
  const cases = [...new Set(measured.map(({ speedCase }) => speedCase))]
  const contestants = [...new Set(measured.map(({ contestant }) => contestant))]
  return table(
    ['tokens/s, median (best)', ...cases],
    contestants.map((name) => [
      name,
      ...cases.map((speedCase) => {
        const cell = measured.find((one) => one.contestant === name && one.speedCase === speedCase)
        return cell ? `${figure(cell.median)} (${figure(cell.best)})` : '–'
      }),
    ]),
  )
}

export function ratioTable(ratios: readonly Ratio[]): string {
  const cases = [...new Set(ratios.map(({ speedCase }) => speedCase))]
  const precisions = [...new Set(ratios.map(({ precision }) => precision))]
  const rivals = cases.map((name) => ratios.find(({ speedCase }) => speedCase === name)?.rival)
  return table(
    ["against llama.cpp's best, medians (best rounds)", ...cases],
    [
      ...precisions.map((precision) => [
        `headrace ${precision}`,
        ...cases.map((name) => {
          const cell = ratios.find((one) => one.precision === precision && one.speedCase === name)
          return cell ? `${cell.ratio.toFixed(2)} (${cell.bestRatio.toFixed(2)})` : '–'
        }),
      ]),
      ['which is', ...rivals.map((rival) => rival?.replace('llama.cpp ', '') ?? '–')],
    ],
  )
}
