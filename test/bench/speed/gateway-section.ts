// The same loads through the gateway and through an engine alone, in alternation.
//
// The wire has no way to ask for tokens past the end of an answer, so here neither side does: both get the same prompts,
// and what they answer is the same. Rates count the whole load, from the first request sent to the last byte read.

import type { StoredVersion } from '../../../models/store.ts'
import type { Progress } from '../progress.ts'
import type { Prompts } from '../prompts.ts'
import { median, sum } from '../statistics.ts'
import { figure, table } from '../table.ts'
import { checkUncached, firstTokenMs, interTokenMs, loadRate } from './answers.ts'
import type { Answer } from './answers.ts'
import { DECODE_PROMPT_TOKENS, SEQUENCES } from './case.ts'
import { BenchEngine } from './engine.ts'
import { BenchServer } from './server.ts'

export interface GatewayFigures {
  precision: string
  sequences: number
  /** tokens per second of whole loads, one for each round */
  engineRates: number[]
  gatewayRates: number[]
  /** medians over rounds: gateway's through engine's */
  ratio: number
  bestRatio: number
  firstTokenMs: { p50: number; p99: number }
  interTokenMs: { p50: number; p99: number }
  /** of an answer, on average; fewer than asked for where the model came to an end */
  generatedTokens: number
  /** p99 of the gateway's event loop during the loads, one for each round */
  loopDelaysMs: number[]
}

export interface GatewayOptions {
  threads: number
  rounds: number
  generatedTokens: number
  progress: Progress
  signal: AbortSignal
}

const LOOP_DELAY = 'headrace_event_loop_delay_p99_seconds'

export async function measureGateway(
  version: StoredVersion,
  prompts: Prompts,
  options: GatewayOptions,
): Promise<GatewayFigures[]> {
  const { threads, rounds, generatedTokens: maxTokens, progress, signal } = options
  const { precision } = version.manifest
  progress(`gateway: starting headrace serve with ${precision}`)
  await using server = await BenchServer.start(version, threads, signal)
  await using engine = await BenchEngine.start(version, threads, signal)
  const throughEngine = (ids: number[][]) =>
    engine.run(ids.map((ids) => ({ prompt: { kind: 'tokens', ids }, maxTokens })))
  const throughGateway = (ids: number[][]) =>
    server.run(ids.map((promptIds) => ({ promptIds, maxTokens })))
  // Neither's first request should pay for what is only done once.
  await throughEngine([prompts.next(DECODE_PROMPT_TOKENS)])
  await throughGateway([prompts.next(DECODE_PROMPT_TOKENS)])

  const figures: GatewayFigures[] = []
  for (const sequences of SEQUENCES) {
    const engineRates: number[] = []
    const gatewayRates: number[] = []
    const loopDelaysMs: number[] = []
    const streamed: Answer[] = []
    for (let round = 0; round < rounds; round++) {
      progress(`gateway: ${precision}, ${sequences} streams, round ${round + 1} of ${rounds}`)
      const ids = prompts.several(sequences, DECODE_PROMPT_TOKENS)
      const runEngine = async () => {
        const answers = await throughEngine(ids)
        checkUncached(answers)
        engineRates.push(loadRate(answers))
        return answers
      }
      const runGateway = async () => {
        // The delay is counted since the last scrape.
        await server.metric(LOOP_DELAY)
        const answers = await throughGateway(ids)
        const delay = await server.metric(LOOP_DELAY)
        if (delay !== null) loopDelaysMs.push(delay * 1000)
        checkUncached(answers)
        gatewayRates.push(loadRate(answers))
        streamed.push(...answers)
        return answers
      }
      const isEngineFirst = round % 2 === 0
      const first = await (isEngineFirst ? runEngine() : runGateway())
      const second = await (isEngineFirst ? runGateway() : runEngine())
      checkSame(first, second)
    }
    figures.push({
      precision,
      sequences,
      engineRates,
      gatewayRates,
      ratio: median(gatewayRates) / median(engineRates),
      bestRatio: Math.max(...gatewayRates) / Math.max(...engineRates),
      firstTokenMs: firstTokenMs(streamed),
      interTokenMs: interTokenMs(streamed),
      generatedTokens:
        sum(streamed.map(({ completionTokens }) => completionTokens)) / streamed.length,
      loopDelaysMs,
    })
  }
  return figures
}

/** Rates of different answers could not be compared. */
function checkSame(one: readonly Answer[], other: readonly Answer[]): void {
  const differing = one.findIndex(
    ({ completionTokens }, index) => completionTokens !== other[index]?.completionTokens,
  )
  if (differing < 0) return
  const counts = [one, other].map((answers) => answers[differing]?.completionTokens).join(' and ')
  throw new Error(`Engine and gateway answered the same prompt with ${counts} tokens.`)
}

export function gatewayTable(figures: readonly GatewayFigures[]): string {
  return table(
    [
      'precision',
      'streams',
      'gateway tok/s',
      'best',
      'engine tok/s',
      'best',
      'ratio',
      'of best',
      'first token ms p50',
      'p99',
      'inter-token ms p50',
      'p99',
      'loop delay ms p99',
      'tokens an answer',
    ],
    figures.map((figures) => [
      figures.precision,
      String(figures.sequences),
      figure(median(figures.gatewayRates)),
      figure(Math.max(...figures.gatewayRates)),
      figure(median(figures.engineRates)),
      figure(Math.max(...figures.engineRates)),
      figure(figures.ratio),
      figure(figures.bestRatio),
      figure(figures.firstTokenMs.p50),
      figure(figures.firstTokenMs.p99),
      figure(figures.interTokenMs.p50),
      figure(figures.interTokenMs.p99),
      figures.loopDelaysMs.length > 0 ? figure(Math.max(...figures.loopDelaysMs)) : '–',
      figure(figures.generatedTokens),
    ]),
  )
}
