// What was erased of an end user, in the admin API's wire format.

import { Type } from 'typebox'
import type { Static } from 'typebox'

import type { Erased } from '../../db/end-users.ts'

export const ErasedBody = Type.Object({
  object: Type.Literal('end_user.erased'),
  exchanges: Type.Integer({ description: 'That say no longer for whom they were.' }),
  texts: Type.Integer({ description: 'Of them those whose prompts and answers were there.' }),
  responses: Type.Integer({ description: 'That were kept to be continued.' }),
  feedback: Type.Integer({ description: 'Whose words, and whose they were, are gone.' }),
})

export function erasedBody(erased: Erased): Static<typeof ErasedBody> {
  return { object: 'end_user.erased', ...erased }
}
