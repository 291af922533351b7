// Embeddings on the wire: asked for in base64, which is a quarter of the bytes of decimals and needs no parsing, and
// read in either form, as many servers know only the other.

import { estimateTextPrompts } from '../estimate.ts'
import { refuseExtra } from './generation-body.ts'
import { wirePrompts } from './completion-body.ts'
import { readUsage } from './usage.ts'
import type { EmbeddingQuestion, Embeddings } from '../../backend.ts'

/** @throws GatewayError that names what can't be sent on */
export function embeddingBody(question: EmbeddingQuestion, model: string): object {
  const { inputs, dimensions, user, extra } = question
  refuseExtra({ extra, dialect: 'openai' })
  return {
    ...extra,
    model,
    input: wirePrompts(inputs, 'input'),
    encoding_format: 'base64',
    ...(dimensions !== undefined && { dimensions }),
    ...(user !== undefined && { user }),
  }
}

/** @param malformed makes the error for what is none */
export function readEmbeddings(
  body: unknown,
  { inputs }: EmbeddingQuestion,
  malformed: (what: string, text: string) => Error,
): Embeddings {
  const { data, usage } = (body ?? {}) as { data?: unknown; usage?: unknown }
  const quoted = () => JSON.stringify(body)
  if (!Array.isArray(data) || data.length !== inputs.length) {
    const count = Array.isArray(data) ? data.length : 'no'
    throw malformed(`sent ${count} embeddings for ${inputs.length} inputs`, quoted())
  }
  const vectors = Array.from<Float32Array>({ length: inputs.length })
  for (const [position, item] of (data as { index?: unknown; embedding?: unknown }[]).entries()) {
    const vector = readVector(item.embedding)
    const index = typeof item.index === 'number' ? item.index : position
    if (!vector || index < 0 || index >= inputs.length || vectors[index]) {
      throw malformed(`sent an embedding (${position}) that can't be read`, quoted())
    }
    vectors[index] = vector
  }
  const read = readUsage(usage)
  return read
    ? { vectors, promptTokens: read.promptTokens }
    : { vectors, promptTokens: estimateTextPrompts(inputs), isEstimated: true }
}

function readVector(embedding: unknown): Float32Array | null {
  if (Array.isArray(embedding)) {
    const vector = Float32Array.from(embedding as number[])
    return vector.length > 0 && vector.every(Number.isFinite) ? vector : null
  }
  if (typeof embedding !== 'string') return null
  const bytes = Buffer.from(embedding, 'base64')
  if (bytes.length === 0 || bytes.length % 4 !== 0) return null
  const vector = new Float32Array(bytes.length / 4)
  for (let at = 0; at < vector.length; at++) vector[at] = bytes.readFloatLE(at * 4)
  return vector
}
