// Headrace's engine among the contestants.

import { checkUncached, decodeRate, prefillRate } from './answers.ts'
import type { Prompts } from '../prompts.ts'
import type { Contestant } from './case.ts'
import type { BenchEngine } from './engine.ts'

export function headraceContestant(engine: BenchEngine, prompts: Prompts): Contestant {
  return {
    name: `headrace ${engine.version.manifest.precision}`,
    async run({ kind, sequences, promptTokens, generatedTokens }) {
      const requests = prompts.several(sequences, promptTokens).map((ids) => ({
        prompt: { kind: 'tokens' as const, ids },
        maxTokens: generatedTokens,
        ignoreEnd: true,
      }))
      const answers = await engine.run(requests)
      checkUncached(answers)
      return kind === 'prefill' ? prefillRate(answers[0]!) : decodeRate(answers)
    },
  }
}
