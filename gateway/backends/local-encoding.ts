// What is asked of models that read whole texts, as our own engine takes it, and what it says, as the gateway tells it.
//
// Knows: what the engine can do. Does not know: wire shapes, who asks.

import { GatewayError, internalError } from '../errors.ts'
import type {
  Classification,
  ClassifyQuestion,
  EmbeddingQuestion,
  Embeddings,
  Ranking,
  RerankQuestion,
} from './backend.ts'
import type { Encoded } from '../../runtime/client.ts'
import type { EncodeRequest, EncodeResult, VersionId } from '../../runtime/protocol.ts'

export type EncodeAsk =
  | { task: 'embed'; question: EmbeddingQuestion }
  | { task: 'rerank'; question: RerankQuestion }
  | { task: 'classify'; question: ClassifyQuestion }

/** what only tells about the client */
const HARMLESS = new Set(['metadata', 'safety_identifier'])

/** @throws GatewayError that names what can't be honoured */
export function encodeRequestOf(ask: EncodeAsk, version: VersionId): EncodeRequest {
  const { id, extra } = ask.question
  const truncate = readTruncate(extra)
  const rest = { id, version, ...(truncate && { truncate }) }
  switch (ask.task) {
    case 'embed': {
      const { inputs, dimensions } = ask.question
      const texts = inputs.map((input) => (input.kind === 'text' ? input.text : input.ids))
      return { ...rest, task: 'embed', inputs: texts, ...(dimensions && { dimensions }) }
    }
    case 'rerank': {
      const { query, documents } = ask.question
      return { ...rest, task: 'rerank', query, documents }
    }
    case 'classify':
      return { ...rest, task: 'classify', inputs: ask.question.inputs }
  }
}

export function embeddingsOf({ result, promptTokens }: Encoded): Embeddings {
  return { vectors: expect(result, 'vectors').vectors.map(readVector), promptTokens }
}

export function rankingOf({ result, promptTokens }: Encoded): Ranking {
  return { scores: expect(result, 'scores').scores, promptTokens }
}

export function classificationOf({ result, promptTokens }: Encoded): Classification {
  if (result.kind === 'entities') {
    return { kind: 'entities', entities: result.entities, promptTokens }
  }
  const { labels, scores } = expect(result, 'labels')
  return {
    kind: 'labels',
    labels: scores.map((row) => row.map((score, index) => ({ label: labels[index] ?? '', score }))),
    promptTokens,
  }
}

/** A text that is too long is refused, unless the client wants it cut: nothing is left out in silence. */
function readTruncate(extra: Record<string, unknown>): boolean {
  for (const [name, value] of Object.entries(extra)) {
    if (value === undefined || value === null || HARMLESS.has(name)) continue
    if (name !== 'truncate') {
      throw new GatewayError('unknown_parameter', `Unknown parameter: '${name.slice(0, 60)}'.`, {
        param: name.slice(0, 60),
      })
    }
    if (typeof value !== 'boolean') {
      throw new GatewayError('invalid_type', "'truncate' must be true or false.", {
        param: 'truncate',
      })
    }
  }
  return extra.truncate === true
}

function expect<Kind extends EncodeResult['kind']>(
  result: EncodeResult,
  kind: Kind,
): Extract<EncodeResult, { kind: Kind }> {
  if (result.kind === kind) return result as Extract<EncodeResult, { kind: Kind }>
  throw internalError(new Error(`The engine gave ${result.kind} for ${kind}. This is a bug.`))
}

function readVector(base64: string): Float32Array {
  const bytes = Buffer.from(base64, 'base64')
  // A buffer may lie anywhere in a larger one; floats have to lie on fours.
  return new Float32Array(Uint8Array.from(bytes).buffer)
}
