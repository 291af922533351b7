// Deployments in the admin API's wire format.

import { Type } from 'typebox'
import type { Static, TSchema } from 'typebox'

import { ACTIONS } from '../../db/deployments.ts'
import { Time } from './fields.ts'
import type { Deployment } from '../../db/deployments.ts'
import type { Request } from '../../deployments/next-state.ts'
import type { Canary, Guards, TrafficState } from '../../deployments/state.ts'

const closed = { additionalProperties: false }
const nullable = (type: string, description?: string) =>
  Type.Unsafe<unknown>({ type: [type, 'null'], description })
const Version = Type.String({
  pattern: '^[^@\\s]+@[^@\\s]+$',
  title: 'a full id such as support-chat@3',
  description: 'Full id, `model@number`.',
})
const Share = Type.Number({
  exclusiveMinimum: 0,
  maximum: 1,
  title: 'a share of more than 0 up to 1, where 0.05 is 5 %',
  description: 'Of the traffic: 0.05 is 5 %.',
})
const optional = <T extends TSchema>(schema: T) => Type.Optional(schema)
const limit = (description: string, most: number, least = 0) =>
  optional(Type.Number({ minimum: least, maximum: most, description }))
const points = (description: string) =>
  optional(
    Type.Number({
      minimum: 0,
      maximum: 1,
      title: 'a share from 0 to 1, where 0.01 is one point of a hundred',
      description: `${description} 0.01 is one point of a hundred.`,
    }),
  )

const STICKY = ['caller', 'session', 'user'] as const
const Sticky = Type.Unsafe<(typeof STICKY)[number]>({
  type: 'string',
  enum: [...STICKY],
  description:
    'What keeps a conversation on one version: its session (or, without one, how it began), its end user, or its caller.',
})

const WeightedVersion = Type.Object(
  { version: Version, weight: Type.Number({ exclusiveMinimum: 0, maximum: 1_000_000 }) },
  closed,
)

const GuardsBody = Type.Object(
  {
    min_sample: optional(
      Type.Integer({
        minimum: 1,
        maximum: 1_000_000,
        description: 'Exchanges of the canary, and of live, before any guard speaks.',
      }),
    ),
    error_rate: points("How much larger the canary's share of failed exchanges may be."),
    time_to_first_token: limit('Factor of p95 of the time to the first token.', 1_000, 1),
    total: limit('Factor of p95 of the total time.', 1_000, 1),
    feedback: limit('How much lower the mean feedback score may be.', 1),
    refusal_rate: points('How much larger the share of refused exchanges may be.'),
  },
  { ...closed, description: 'What the canary may not exceed against the live version.' },
)
type GuardsBody = Static<typeof GuardsBody>

const CanaryBody = Type.Object({
  version: Version,
  share: Share,
  steps: Type.Array(Share),
  bake_seconds: Type.Number(),
  guards: GuardsBody,
})

const StateBody = Type.Object({
  targets: Type.Array(WeightedVersion),
  canary: Type.Union([CanaryBody, Type.Null()]),
  shadow: Type.Union([Type.Object({ version: Version, share: Share }), Type.Null()]),
  fallbacks: Type.Array(Version),
  sticky: Sticky,
})

export const DeploymentBody = Type.Object({
  object: Type.Literal('deployment'),
  id: Type.Integer({ description: 'As exchanges have it.' }),
  model: Type.String(),
  number: Type.Integer({ description: "Of the model's deployments, from 1." }),
  at: Time,
  action: Type.Unsafe<Deployment['action']>({ type: 'string', enum: [...ACTIONS] }),
  outcome: Type.Unsafe<Deployment['outcome']>({ type: 'string', enum: ['live', 'failed'] }),
  state: StateBody,
  based_on: nullable('integer', 'The number that was live before.'),
  restores: nullable('integer', 'Of a rollback: the number whose state this is.'),
  reason: nullable('string'),
  actor: Type.Object({ id: nullable('string'), name: Type.String(), via: Type.String() }),
  error: nullable('string', 'Why it failed; it never got traffic then.'),
})

const Reason = optional(
  Type.String({ maxLength: 1_000, description: 'Why, for who reads it later.' }),
)
const common = {
  reason: Reason,
  if_live: optional(
    Type.Unsafe<number>({
      type: 'integer',
      minimum: 1,
      description: 'The number that has to be live still; 409 where another is.',
    }),
  ),
  replace: optional(
    Type.Boolean({
      description:
        'Where there is no memory for old and new: ends the old version first, and requests wait meanwhile.',
    }),
  ),
}
const override = optional(
  Type.Boolean({
    description:
      'Deploys although required evaluations are missing or out of bounds; needs a reason.',
  }),
)
const action = <T extends string, P extends Record<string, TSchema>>(name: T, fields: P) =>
  Type.Object({ action: Type.Literal(name), ...fields, ...common, override }, closed)
const Fallbacks = optional(Type.Array(Version, { maxItems: 20 }))

const DRAFTS = {
  deploy: action('deploy', { version: Version, fallbacks: Fallbacks, sticky: optional(Sticky) }),
  weights: action('weights', {
    targets: Type.Array(WeightedVersion, { minItems: 1, maxItems: 20 }),
    fallbacks: Fallbacks,
    sticky: optional(Sticky),
  }),
  canary: action('canary', {
    version: Version,
    share: optional(
      Type.Number({
        exclusiveMinimum: 0,
        exclusiveMaximum: 1,
        title: 'a share between 0 and 1, where 0.05 is 5 %',
        description: 'Of the traffic at first; without it 0.05, which is 5 %.',
      }),
    ),
    steps: optional(
      Type.Array(Share, {
        minItems: 1,
        maxItems: 20,
        description: 'Shares after that, growing, the last 1; without them 0.25, 0.5 and 1.',
      }),
    ),
    bake_seconds: optional(Type.Number({ minimum: 0, maximum: 2_592_000 })),
    guards: optional(GuardsBody),
    sticky: optional(Sticky),
  }),
  step: action('step', {}),
  promote: action('promote', {}),
  shadow: action('shadow', {
    version: Type.Union([Version, Type.Null()], {
      title: 'a full id such as support-chat@3, or null',
      description: 'null: no shadow any more.',
    }),
    share: optional(Share),
  }),
} as const

type Drafts = typeof DRAFTS
type DeploymentDraft = { [Action in keyof Drafts]: Static<Drafts[Action]> }[keyof Drafts]

/** Its action says which of them is meant, so that what is wrong is told of that one. */
export const DeploymentDraft = Type.Unsafe<DeploymentDraft>({
  type: 'object',
  required: ['action'],
  discriminator: { propertyName: 'action' },
  oneOf: Object.values(DRAFTS),
})

export const RollbackDraft = Type.Object(
  {
    to: optional(
      Type.Integer({
        minimum: 1,
        description: 'Number of a deployment; without it the last good.',
      }),
    ),
    ...common,
  },
  closed,
)

function stateBody({ canary, ...state }: TrafficState): Static<typeof StateBody> {
  return { ...state, canary: canary && canaryBody(canary) }
}

function canaryBody({ bakeSeconds, guards, ...canary }: Canary) {
  return { ...canary, bake_seconds: bakeSeconds, guards: guardsBody(guards) }
}

function guardsBody({ minSample, errorRate, timeToFirstToken, refusalRate, ...rest }: Guards) {
  return withoutAbsent({
    ...rest,
    min_sample: minSample,
    error_rate: errorRate,
    time_to_first_token: timeToFirstToken,
    refusal_rate: refusalRate,
  })
}

function readGuards(body: GuardsBody): Guards {
  const { min_sample, error_rate, time_to_first_token, refusal_rate, ...rest } = body
  return withoutAbsent({
    ...rest,
    minSample: min_sample,
    errorRate: error_rate,
    timeToFirstToken: time_to_first_token,
    refusalRate: refusal_rate,
  })
}

function withoutAbsent<T extends object>(object: T): T {
  return Object.fromEntries(Object.entries(object).filter(([, value]) => value !== undefined)) as T
}

export function deploymentBody(entry: Deployment): Static<typeof DeploymentBody> {
  const { basedOn, at, state, actor, ...rest } = entry
  return {
    object: 'deployment',
    ...rest,
    at: at.toISOString(),
    state: stateBody(state),
    based_on: basedOn,
    actor: { id: actor.id, name: actor.name, via: actor.via },
  }
}

/** What of a draft says what is to become of the traffic. */
export function readRequest(draft: DeploymentDraft): Request {
  switch (draft.action) {
    case 'canary': {
      const { version, share, steps, sticky, guards, bake_seconds: bakeSeconds } = draft
      const read = guards && readGuards(guards)
      return { action: 'canary', version, share, steps, sticky, bakeSeconds, guards: read }
    }
    case 'deploy': {
      const { version, fallbacks, sticky } = draft
      return { action: 'deploy', version, fallbacks, sticky }
    }
    case 'weights':
      return {
        action: 'weights',
        targets: draft.targets,
        fallbacks: draft.fallbacks,
        sticky: draft.sticky,
      }
    case 'shadow':
      return { action: 'shadow', version: draft.version, share: draft.share }
    default:
      return { action: draft.action }
  }
}
