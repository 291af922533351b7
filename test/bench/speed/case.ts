// What is measured of everybody who takes part, and who that is.

export interface SpeedCase {
  name: string
  kind: 'prefill' | 'decode'
  sequences: number
  promptTokens: number
  /** for each sequence */
  generatedTokens: number
}

export interface Contestant {
  name: string
  /** @returns tokens per second */
  run(speedCase: SpeedCase): Promise<number>
}

export const SEQUENCES = [1, 8, 32] as const
export const PREFILL_TOKENS = 512
export const DECODE_PROMPT_TOKENS = 128

export function speedCases(generatedTokens: number): SpeedCase[] {
  const decode = SEQUENCES.map((sequences): SpeedCase => ({
    name: `decode ${sequences}`,
    kind: 'decode',
    sequences,
    promptTokens: DECODE_PROMPT_TOKENS,
    generatedTokens,
  }))
  const prefill: SpeedCase = {
    name: `prefill ${PREFILL_TOKENS}`,
    kind: 'prefill',
    sequences: 1,
    promptTokens: PREFILL_TOKENS,
    generatedTokens: 1,
  }
  return [prefill, ...decode]
}
