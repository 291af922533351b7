// Refuses what a model is not for before anything is loaded for it.
//
// Knows: kinds, and where each is asked. Does not know: how a kind is found out, HTTP.

import { GatewayError } from '../errors.ts'
import type { ModelKind, Route } from './route.ts'

const KINDS: Record<ModelKind, { does: string; where: string }> = {
  generate: { does: 'generates texts', where: '/v1/chat/completions' },
  embed: { does: 'makes embeddings', where: '/v1/embeddings' },
  rerank: { does: 'scores documents for a query', where: '/v1/rerank' },
  classify: { does: 'labels texts', where: '/v1/classify' },
  'token-classify': { does: 'finds names of things in texts', where: '/v1/classify' },
}

/** @throws GatewayError `unsupported_model` where every target is known to be of another kind */
export function requireKind({ model, targets, fallbacks }: Route, ...wanted: ModelKind[]): void {
  const [first, ...others] = [...targets, ...fallbacks]
  const fits = ({ kind }: { kind?: ModelKind }) => kind === undefined || wanted.includes(kind)
  if (!first?.kind || [first, ...others].some(fits)) return
  const { does, where } = KINDS[first.kind]
  throw new GatewayError(
    'unsupported_model',
    `The model '${model}' ${does}: POST ${where} is for it, and this is not.`,
    { param: 'model' },
  )
}
