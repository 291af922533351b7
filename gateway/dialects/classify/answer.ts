// The answer of a classification: labels of each text, or the names of things in it.

import { Type } from 'typebox'

import type { Classification } from '../../backends/backend.ts'

const Index = Type.Integer({ description: 'Of the text, in the order of the request.' })
const Score = Type.Number({ description: '0 to 1' })

export const Classifications = Type.Object({
  id: Type.String(),
  object: Type.Literal('list'),
  model: Type.String({ description: 'As it was asked for.' }),
  data: Type.Array(
    Type.Union([
      Type.Object({
        object: Type.Literal('classification'),
        index: Index,
        label: Type.String({ description: 'The most likely one.' }),
        labels: Type.Array(Type.Object({ label: Type.String(), score: Score })),
      }),
      Type.Object({
        object: Type.Literal('entities'),
        index: Index,
        entities: Type.Array(
          Type.Object({
            label: Type.String(),
            score: Score,
            word: Type.String(),
            start: Type.Integer({ description: 'In UTF-16 code units.' }),
            end: Type.Integer({ description: 'Not included.' }),
          }),
        ),
      }),
    ]),
  ),
  usage: Type.Object({ prompt_tokens: Type.Integer(), total_tokens: Type.Integer() }),
})

/** The most likely labels first. @param topK null: all; names of things are never fewer than there are */
export function classifiedOf(classification: Classification, topK: number | null) {
  if (classification.kind === 'entities') {
    return classification.entities.map((entities, index) => ({
      object: 'entities' as const,
      index,
      entities,
    }))
  }
  return classification.labels.map((all, index) => {
    const labels = all.toSorted((a, b) => b.score - a.score)
    return {
      object: 'classification' as const,
      index,
      label: labels[0]?.label ?? '',
      labels: labels.slice(0, topK ?? labels.length),
    }
  })
}

/** @param model as the client named it */
export function classifyBody(
  id: string,
  model: string,
  data: ReturnType<typeof classifiedOf>,
  { promptTokens }: Classification,
) {
  return {
    id,
    object: 'list' as const,
    model,
    data,
    usage: { prompt_tokens: promptTokens, total_tokens: promptTokens },
  }
}
