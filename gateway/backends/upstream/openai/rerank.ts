// Rerankings on the wire, as Jina, Cohere and vLLM have them: results in any order, with indices into the documents.

import { estimateTextPrompts } from '../estimate.ts'
import { refuseExtra } from './generation-body.ts'
import type { Ranking, RerankQuestion } from '../../backend.ts'

/** @throws GatewayError that names what can't be sent on */
export function rerankBody(question: RerankQuestion, model: string): object {
  const { query, documents, extra } = question
  refuseExtra({ extra, dialect: 'openai' })
  // All of them, and without their texts: those are here, and `top_n` is for whoever is answered.
  return { ...extra, model, query, documents, return_documents: false }
}

/** @param malformed makes the error for what is none */
export function readRanking(
  body: unknown,
  { query, documents }: RerankQuestion,
  malformed: (what: string, text: string) => Error,
): Ranking {
  const { results, usage, meta } = (body ?? {}) as Record<string, unknown>
  const scores = Array.from<number>({ length: documents.length })
  const list = Array.isArray(results) ? (results as Record<string, unknown>[]) : []
  for (const { index, relevance_score: score } of list) {
    if (typeof index === 'number' && index in scores && typeof score === 'number') {
      scores[index] = score
    }
  }
  if (list.length !== documents.length || !scores.every(Number.isFinite)) {
    const what = `sent ${list.length} results for ${documents.length} documents, or some that can't be read`
    throw malformed(what, JSON.stringify(body))
  }
  const promptTokens = countIn(usage, 'total_tokens') ?? countIn(tokensIn(meta), 'input_tokens')
  if (promptTokens !== null) return { scores, promptTokens }
  const read = documents.map((text) => ({ kind: 'text' as const, text: query + text }))
  return { scores, promptTokens: estimateTextPrompts(read), isEstimated: true }
}

function countIn(record: unknown, name: string): number | null {
  const value = (record as Record<string, unknown> | undefined)?.[name]
  return typeof value === 'number' && value >= 0 ? value : null
}

function tokensIn(meta: unknown): unknown {
  return (meta as { tokens?: unknown } | undefined)?.tokens
}
