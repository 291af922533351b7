// The answer of a reranking, as Jina's and Cohere's clients read it: `usage` is the one's, `meta` the other's.

import { Type } from 'typebox'

import type { Ranking } from '../../backends/backend.ts'
import type { AskedRanking } from './request.ts'

export const RerankList = Type.Object({
  id: Type.String(),
  object: Type.Literal('list'),
  model: Type.String({ description: 'As it was asked for.' }),
  results: Type.Array(
    Type.Object({
      index: Type.Integer({ description: 'Of the document, in the order of the request.' }),
      relevance_score: Type.Number({
        description:
          "0 to 1: the logistic function of what a local model says; an upstream's is its own.",
      }),
      document: Type.Optional(Type.Object({ text: Type.String() })),
    }),
  ),
  usage: Type.Object({ prompt_tokens: Type.Integer(), total_tokens: Type.Integer() }),
  meta: Type.Object({
    billed_units: Type.Object({ search_units: Type.Integer() }),
    tokens: Type.Object({ input_tokens: Type.Integer() }),
  }),
})

interface Ranked {
  index: number
  relevance_score: number
}

/** The best first; among equals, those that came first. */
export function rankedOf({ scores }: Ranking, topN: number): Ranked[] {
  return scores
    .map((score, index) => ({ index, relevance_score: score }))
    .sort((a, b) => b.relevance_score - a.relevance_score || a.index - b.index)
    .slice(0, topN)
}

export function rerankBody(
  id: string,
  { model, question, returnsDocuments }: AskedRanking,
  { promptTokens }: Ranking,
  ranked: Ranked[],
) {
  return {
    id,
    object: 'list' as const,
    model,
    results: ranked.map((result) =>
      returnsDocuments
        ? { ...result, document: { text: question.documents[result.index] ?? '' } }
        : result,
    ),
    usage: { prompt_tokens: promptTokens, total_tokens: promptTokens },
    meta: { billed_units: { search_units: 1 }, tokens: { input_tokens: promptTokens } },
  }
}
