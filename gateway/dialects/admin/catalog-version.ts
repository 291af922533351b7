// Versions of the catalog in the admin API's wire format.

import { Type } from 'typebox'
import type { Static } from 'typebox'

import { VERSION_STATES } from '../../db/catalog-versions.ts'
import { markdown, NullableNumber, NullableText, PriceBody, word } from './catalog-fields.ts'
import { storable } from './feedback.ts'
import { Time } from './fields.ts'
import type { CatalogVersion, TrainingData, VersionState } from '../../db/catalog-versions.ts'

const MAX_DATASETS = 100
const MAX_HYPERPARAMETERS = 200
const MAX_VALUE_CHARACTERS = 4_000

const datum = (description: string) => ({
  type: 'string',
  minLength: 1,
  maxLength: 256,
  title: 'a string of 1 to 256 characters',
  description,
})

const TrainingDataBody = Type.Unsafe<TrainingData[] | null>({
  type: ['array', 'null'],
  maxItems: MAX_DATASETS,
  items: {
    type: 'object',
    properties: {
      name: datum('Of the dataset.'),
      size: { type: 'integer', minimum: 0, description: 'Examples in it.' },
      split: datum('train, validation, …'),
      source: datum('Where it is: an address, a commit.'),
    },
    required: ['name'],
    additionalProperties: false,
  },
})

const Hyperparameters = Type.Unsafe<Record<string, unknown> | null>({
  type: ['object', 'null'],
  maxProperties: MAX_HYPERPARAMETERS,
  title: `an object of at most ${MAX_HYPERPARAMETERS} members, or null`,
  description: 'Learning rate, epochs, rank, …',
  additionalProperties: {
    type: ['string', 'number', 'boolean', 'null', 'array'],
    maxLength: MAX_VALUE_CHARACTERS,
    maxItems: 100,
    items: { type: ['string', 'number', 'boolean', 'null'], maxLength: MAX_VALUE_CHARACTERS },
    title: 'a string, a number, a boolean, null, or an array of them',
  },
})

const FACTS = {
  base_model: word('What it was fine-tuned from.'),
  training_data: Type.Optional(TrainingDataBody),
  hyperparameters: Type.Optional(Hyperparameters),
  training_run: word('Of whatever trained it, so that its own record can be found.', 1_000),
  change_note: markdown('What is new in it.'),
  created_by: word('Who made it.'),
}

const State = <T extends string>(states: readonly T[], description: string) =>
  Type.Unsafe<T>({ type: 'string', enum: [...states], description })

export const UpstreamVersionDraft = Type.Object(
  {
    upstream: Type.String({
      minLength: 1,
      maxLength: 256,
      description: 'The name of a declared upstream.',
    }),
    asks: Type.String({
      minLength: 1,
      maxLength: 256,
      pattern: '^[^\\p{Cc}]*$',
      title: 'one line of 1 to 256 characters',
      description: 'What the upstream calls it; best one that names a fixed version.',
    }),
    price: Type.Optional(PriceBody),
    state: Type.Optional(State(['draft', 'ready'], 'Without it it is ready.')),
    licence: word("SPDX id, or the upstream's own words."),
    ...FACTS,
  },
  { additionalProperties: false },
)
export type UpstreamVersionDraft = Static<typeof UpstreamVersionDraft>

export const VersionPatch = Type.Object(
  {
    state: Type.Optional(State(['ready', 'archived'], 'Archived ones are not to be deployed.')),
    price: Type.Optional(PriceBody),
    ...FACTS,
  },
  { additionalProperties: false },
)
export type VersionPatch = Static<typeof VersionPatch>

/** The facts of a draft or patch, as they are kept; undefined: not named. */
export function factsOf(patch: Omit<VersionPatch, 'state' | 'price'>) {
  return {
    baseModel: storable(patch.base_model),
    trainingData: storableJson(patch.training_data),
    hyperparameters: storableJson(patch.hyperparameters),
    trainingRun: storable(patch.training_run),
    changeNote: storable(patch.change_note),
    createdBy: storable(patch.created_by),
  }
}

/** jsonb takes no more than text does. */
function storableJson<T>(value: T): T {
  if (typeof value === 'string') return storable(value)
  if (Array.isArray(value)) return value.map(storableJson) as T
  if (typeof value !== 'object' || value === null) return value
  const members = Object.entries(value).map(([name, each]) => [storable(name), storableJson(each)])
  return Object.fromEntries(members) as T
}

export const VersionBody = Type.Object({
  object: Type.Literal('catalog.version'),
  id: Type.String(),
  model: Type.String(),
  number: Type.Integer(),
  kind: State(['local', 'upstream'], 'A folder of the library, or a model of an upstream.'),
  state: State(VERSION_STATES, 'Only what is ready is to be deployed.'),
  condition: State(
    ['present', 'missing', 'damaged'],
    "Of a local version's folder; problem says what is wrong.",
  ),
  problem: NullableText,
  digest: Type.Unsafe<string | null>({
    type: ['string', 'null'],
    description: 'sha256 of all that makes its answers: equal digests answer alike.',
  }),
  source: NullableText,
  source_revision: NullableText,
  family: NullableText,
  precision: NullableText,
  parameters: NullableNumber,
  context_length: NullableNumber,
  bytes: NullableNumber,
  licence: NullableText,
  upstream: NullableText,
  asks: NullableText,
  price: PriceBody,
  base_model: NullableText,
  training_data: TrainingDataBody,
  hyperparameters: Hyperparameters,
  training_run: NullableText,
  change_note: NullableText,
  created_by: NullableText,
  created_at: Time,
  registered_at: Time,
  updated_at: Time,
})

export function versionBody(version: CatalogVersion): Static<typeof VersionBody> {
  return {
    object: 'catalog.version',
    id: version.id,
    model: version.model,
    number: version.number,
    kind: version.kind,
    state: version.state,
    condition: version.condition,
    problem: version.problem,
    digest: version.digest,
    source: version.source,
    source_revision: version.sourceRevision,
    family: version.family,
    precision: version.precision,
    parameters: version.parameters,
    context_length: version.contextLength,
    bytes: version.bytes,
    licence: version.licence,
    upstream: version.upstream,
    asks: version.asks,
    price: version.price,
    base_model: version.baseModel,
    training_data: version.trainingData,
    hyperparameters: version.hyperparameters,
    training_run: version.trainingRun,
    change_note: version.changeNote,
    created_by: version.createdBy,
    created_at: version.createdAt.toISOString(),
    registered_at: version.registeredAt.toISOString(),
    updated_at: version.updatedAt.toISOString(),
  }
}

/** What a list may be narrowed to; deleted ones are shown where they are asked for. */
export function readStates(state: string | undefined): readonly VersionState[] {
  if (state === undefined) return ['draft', 'ready', 'archived']
  return VERSION_STATES.filter((known) => known === state)
}
