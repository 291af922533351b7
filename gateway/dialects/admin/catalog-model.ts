// Models of the catalog in the admin API's wire format.

import { Type } from 'typebox'
import type { Static } from 'typebox'

import { MODEL_NAME } from '../../../models/manifest.ts'
import {
  markdown,
  MODEL_NAME_RULE,
  NullableNumber,
  NullableText,
  PriceBody,
  StatedLimits,
  word,
} from './catalog-fields.ts'
import { storable } from './feedback.ts'
import { TagsBody, Time } from './fields.ts'
import type { CatalogModel, ListedModel } from '../../db/catalog-models.ts'

const FIELDS = {
  task: word('What it does: chat, embeddings, rerank, classify, …'),
  owner: word('Who answers for it: a person, a team.'),
  description: markdown('What it is.'),
  intended_use: markdown('What it is for, and what not.'),
  user_guide: markdown('How to ask it.'),
  known_issues: markdown('What it gets wrong.'),
  licence: word("SPDX id, or the source's own words."),
  tags: Type.Optional(TagsBody),
  price: Type.Optional(PriceBody),
  limits: Type.Optional(StatedLimits),
}

export const CatalogModelDraft = Type.Object(
  {
    name: Type.String({
      pattern: MODEL_NAME.source,
      title: MODEL_NAME_RULE,
      description: 'As clients name it.',
    }),
    ...FIELDS,
  },
  { additionalProperties: false },
)
export type CatalogModelDraft = Static<typeof CatalogModelDraft>

export const CatalogModelPatch = Type.Object(FIELDS, { additionalProperties: false })
export type CatalogModelPatch = Static<typeof CatalogModelPatch>

/** The texts of a draft or patch, as they are kept. */
export function textsOf(patch: CatalogModelPatch) {
  return {
    task: storable(patch.task),
    owner: storable(patch.owner),
    description: storable(patch.description),
    intendedUse: storable(patch.intended_use),
    userGuide: storable(patch.user_guide),
    knownIssues: storable(patch.known_issues),
    licence: storable(patch.licence),
  }
}

export const CatalogModelBody = Type.Object({
  object: Type.Literal('catalog.model'),
  id: Type.String(),
  task: NullableText,
  owner: NullableText,
  description: NullableText,
  intended_use: NullableText,
  user_guide: NullableText,
  known_issues: NullableText,
  licence: NullableText,
  tags: Type.Record(Type.String(), Type.String()),
  price: PriceBody,
  limits: StatedLimits,
  created_at: Time,
  created_by: Type.String(),
  updated_at: Time,
})

export function catalogModelBody(model: CatalogModel): Static<typeof CatalogModelBody> {
  return {
    object: 'catalog.model',
    id: model.name,
    task: model.task,
    owner: model.owner,
    description: model.description,
    intended_use: model.intendedUse,
    user_guide: model.userGuide,
    known_issues: model.knownIssues,
    licence: model.licence,
    tags: model.tags,
    price: model.price,
    limits: model.limits,
    created_at: model.createdAt.toISOString(),
    created_by: model.createdBy,
    updated_at: model.updatedAt.toISOString(),
  }
}

export const ListedModelBody = Type.Object({
  ...CatalogModelBody.properties,
  versions: Type.Integer({ description: 'Those that are not deleted.' }),
  newest_ready: NullableNumber,
})

export function listedModelBody(model: ListedModel): Static<typeof ListedModelBody> {
  const { versions, newestReady } = model
  return { ...catalogModelBody(model), versions, newest_ready: newestReady }
}
