// The body of POST /v1/rerank, which Cohere's and Jina's clients send: its schema, and what it asks for in our own terms.

import { Type } from 'typebox'

import { otherThan } from '../openai/parameters.ts'
import { nullableBoolean, nullableInteger, nullableString } from '../openai/schema.ts'
import type { Static } from 'typebox'
import type { RerankQuestion } from '../../backends/backend.ts'

/** Jina's bound; Cohere's is 1,000 */
const MAX_DOCUMENTS = 2048
const TEXT = { type: 'string', minLength: 1 }

export const RerankRequest = Type.Object(
  {
    model: Type.String({ minLength: 1, maxLength: 256 }),
    query: Type.String({ minLength: 1 }),
    documents: Type.Unsafe<(string | { text: string })[]>({
      title: `an array of up to ${MAX_DOCUMENTS} texts, or of objects with a text, none of them empty`,
      type: 'array',
      minItems: 1,
      maxItems: MAX_DOCUMENTS,
      items: {
        anyOf: [
          TEXT,
          {
            type: 'object',
            required: ['text'],
            properties: { text: TEXT },
            additionalProperties: false,
          },
        ],
      },
    }),
    top_n: nullableInteger({
      minimum: 1,
      description:
        'How many of the documents are given back, the best first; all where it is not set.',
    }),
    return_documents: nullableBoolean('Give the texts back, too.'),
    user: nullableString('The end user, for the log and for upstreams.'),
  },
  { additionalProperties: true },
)

export interface AskedRanking {
  question: Omit<RerankQuestion, 'id'>
  model: string
  topN: number
  returnsDocuments: boolean
}

export function readRerankRequest(body: Static<typeof RerankRequest>): AskedRanking {
  const documents = body.documents.map((item) => (typeof item === 'string' ? item : item.text))
  return {
    question: {
      query: body.query,
      documents,
      user: body.user ?? undefined,
      extra: otherThan(RerankRequest.properties, body),
    },
    model: body.model,
    topN: body.top_n ?? documents.length,
    returnsDocuments: body.return_documents ?? false,
  }
}
