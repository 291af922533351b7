// Models as OpenAI writes them.

import { Type } from 'typebox'

import type { Route } from '../../routing/route.ts'

export const Model = Type.Object({
  id: Type.String(),
  object: Type.Literal('model'),
  created: Type.Integer({ description: 'Unix seconds' }),
  owned_by: Type.String(),
})

export const ModelList = Type.Object({ object: Type.Literal('list'), data: Type.Array(Model) })

/** @param name as the client is to write it */
export function modelBody(name: string, { targets }: Route) {
  return {
    id: name,
    object: 'model' as const,
    created: Math.floor(Date.parse(targets[0]?.created ?? '') / 1000) || 0,
    owned_by: 'headrace',
  }
}
