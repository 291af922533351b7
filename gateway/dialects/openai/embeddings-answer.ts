// The answer of embeddings: numbers, or their bytes in base64.

import { Type } from 'typebox'

import type { Embeddings } from '../../backends/backend.ts'
import type { EncodingFormat } from './embeddings-request.ts'

export const EmbeddingList = Type.Object({
  object: Type.Literal('list'),
  model: Type.String({ description: 'As it was asked for.' }),
  data: Type.Array(
    Type.Object({
      object: Type.Literal('embedding'),
      index: Type.Integer(),
      embedding: Type.Union([Type.Array(Type.Number()), Type.String()]),
    }),
  ),
  usage: Type.Object({ prompt_tokens: Type.Integer(), total_tokens: Type.Integer() }),
})

/** @param model as the client named it */
export function embeddingsBody(
  { vectors, promptTokens }: Embeddings,
  model: string,
  encodingFormat: EncodingFormat,
) {
  return {
    object: 'list' as const,
    model,
    data: vectors.map((vector, index) => ({
      object: 'embedding' as const,
      index,
      embedding: encodingFormat === 'base64' ? base64Of(vector) : Array.from(vector),
    })),
    usage: { prompt_tokens: promptTokens, total_tokens: promptTokens },
  }
}

/** 32-bit numbers, little-endian: what every machine that this runs on has in memory. */
function base64Of({ buffer, byteOffset, byteLength }: Float32Array): string {
  return Buffer.from(buffer, byteOffset, byteLength).toString('base64')
}
