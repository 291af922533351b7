// Addresses that are told of deployments, and the calls to them, in the admin API's wire format.

import { Type } from 'typebox'
import type { Static } from 'typebox'

import { DELIVERY_STATES } from '../../db/webhook-deliveries.ts'
import { hintOf } from '../../secrets.ts'
import { MAX_OVERLAP_SECONDS, NullableTime, Time } from './fields.ts'
import type { DeliveryRecord, DeliveryState } from '../../db/webhook-deliveries.ts'
import type { StoredWebhook } from '../../db/webhooks.ts'

const MAX_URL_CHARACTERS = 2_000

/** How long it may be is looked at where it is read: what breaks a schema is quoted. */
const Secret = Type.Optional(
  Type.String({
    description:
      'What calls are signed with: whsec_ and base64 of 24 bytes or more, or any other text of 24 to 500 characters. ' +
      'Without it one is made, and the answer has it.',
  }),
)

export const WebhookDraft = Type.Object(
  {
    url: Type.String({
      minLength: 1,
      maxLength: MAX_URL_CHARACTERS,
      description: 'What is called, https:// or http://.',
    }),
    secret: Secret,
  },
  { additionalProperties: false },
)
export type WebhookDraft = Static<typeof WebhookDraft>

export interface WebhookRotation {
  secret?: string
  overlap_seconds?: number
}

/** No body at all: a secret is made, and the overlap is a day. */
export const WebhookRotationBody = Type.Unsafe<WebhookRotation | null>({
  type: ['object', 'null'],
  properties: {
    secret: Secret,
    overlap_seconds: {
      type: 'integer',
      minimum: 0,
      maximum: MAX_OVERLAP_SECONDS,
      description:
        'How long calls are signed with the secret of before as well; without it a day, 0: not at all.',
    },
  },
  additionalProperties: false,
})

const nullableText = (description: string) =>
  Type.Unsafe<string | null>({ type: ['string', 'null'], description })

const WEBHOOK = {
  object: Type.Literal('webhook'),
  id: nullableText('null: headrace.yaml has it, and it is changed there.'),
  url: Type.String(),
  secret_hint: Type.String({ description: 'The last characters of its secret.' }),
  previous_secret_until: Type.Unsafe<string | null>({
    type: ['string', 'null'],
    format: 'date-time',
    description: 'Until then calls are signed with the secret of before as well.',
  }),
  source: Type.Unsafe<'file' | 'api'>({ type: 'string', enum: ['file', 'api'] }),
  created_at: NullableTime,
}
export const WebhookBody = Type.Object(WEBHOOK)
export const NewWebhookBody = Type.Object({
  ...WEBHOOK,
  secret: Type.String({ description: 'Shown here only.' }),
})

export function webhookBody({
  id,
  url,
  hint,
  previousUntil,
  createdAt,
}: StoredWebhook): Static<typeof WebhookBody> {
  return {
    object: 'webhook',
    id,
    url,
    secret_hint: hint,
    previous_secret_until: previousUntil?.toISOString() ?? null,
    source: 'api',
    created_at: createdAt.toISOString(),
  }
}

export function fileWebhookBody({
  url,
  secret,
}: {
  url: string
  secret: string
}): Static<typeof WebhookBody> {
  return {
    object: 'webhook',
    id: null,
    url,
    secret_hint: hintOf(secret),
    previous_secret_until: null,
    source: 'file',
    created_at: null,
  }
}

const State = Type.Unsafe<DeliveryState>({
  type: 'string',
  enum: [...DELIVERY_STATES],
  description: 'given_up: it is not tried any more.',
})

export const DeliveryBody = Type.Object({
  object: Type.Literal('webhook_delivery'),
  id: Type.String(),
  event_id: Type.String({
    description: 'webhook-id of every attempt, the same for all addresses.',
  }),
  type: Type.String({ description: 'deployment.deploy, deployment.rollback, …' }),
  url: Type.String(),
  state: State,
  attempts: Type.Integer({ minimum: 0 }),
  created_at: Time,
  next_attempt_at: NullableTime,
  delivered_at: NullableTime,
  last_error: nullableText('Why the last attempt was none.'),
})

export const DELIVERY_QUERY = {
  state: Type.Optional(State),
  url: Type.Optional(Type.String({ description: 'To this address.' })),
}

export function deliveryBody(delivery: DeliveryRecord): Static<typeof DeliveryBody> {
  return {
    object: 'webhook_delivery',
    id: delivery.id,
    event_id: delivery.eventId,
    type: delivery.type,
    url: delivery.url,
    state: delivery.state,
    attempts: delivery.attempts,
    created_at: delivery.createdAt.toISOString(),
    next_attempt_at: delivery.nextAt?.toISOString() ?? null,
    delivered_at: delivery.deliveredAt?.toISOString() ?? null,
    last_error: delivery.lastError,
  }
}
