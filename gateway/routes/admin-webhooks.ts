// /admin/webhooks: who is told of deployments, and what became of the calls to them.

import { Type } from 'typebox'

import {
  addWebhook,
  removeWebhook,
  resend,
  rotateWebhookSecret,
  testWebhook,
} from '../administration/webhooks.ts'
import { listDeliveries } from '../db/webhook-deliveries.ts'
import { listWebhooks } from '../db/webhooks.ts'
import { listBody, listOf, PAGE_QUERY, readPage } from '../dialects/admin/page.ts'
import {
  DELIVERY_QUERY,
  DeliveryBody,
  deliveryBody,
  fileWebhookBody,
  NewWebhookBody,
  WebhookBody,
  webhookBody,
  WebhookDraft,
  WebhookRotationBody,
} from '../dialects/admin/webhook.ts'
import { ErrorBody } from '../dialects/openai/error.ts'
import { actorOf, requireRole } from '../plugins/roles.ts'
import type { WebhookDeps } from '../administration/webhooks.ts'
import type { App } from '../request.ts'

const tags = ['webhooks']
const security = [{ key: [] }]
const params = Type.Object({
  id: Type.String({ format: 'uuid', title: 'an id, as the list has it' }),
})

export function adminWebhookRoutes(app: App, deps: WebhookDeps) {
  const { pool, webhooks } = deps
  const onRequest = requireRole('admin')

  app.get(
    '/admin/webhooks',
    {
      onRequest,
      schema: {
        operationId: 'listWebhooks',
        summary: 'List the addresses that are told of deployments',
        tags,
        security,
        response: {
          200: Type.Object({ object: Type.Literal('list'), data: Type.Array(WebhookBody) }),
          default: ErrorBody,
        },
      },
    },
    async () => {
      const stored = await listWebhooks(pool)
      const data = [...webhooks.inFile.map(fileWebhookBody), ...stored.map(webhookBody)]
      return { object: 'list' as const, data }
    },
  )

  app.post(
    '/admin/webhooks',
    {
      onRequest,
      schema: {
        operationId: 'addWebhook',
        summary:
          'Have an address told of every deployment; the answer is the only one with its secret',
        tags,
        security,
        body: WebhookDraft,
        response: { 201: NewWebhookBody, default: ErrorBody },
      },
    },
    async (request, reply) => {
      const { webhook, secret } = await addWebhook(deps, actorOf(request), request.body)
      return reply.code(201).send({ ...webhookBody(webhook), secret })
    },
  )

  app.delete(
    '/admin/webhooks/:id',
    {
      onRequest,
      schema: {
        operationId: 'removeWebhook',
        summary: 'Tell an address nothing any more; what is owed to it is given up',
        tags,
        security,
        params,
        response: { 200: WebhookBody, default: ErrorBody },
      },
    },
    async (request) => webhookBody(await removeWebhook(deps, actorOf(request), request.params.id)),
  )

  app.post(
    '/admin/webhooks/:id/rotate',
    {
      onRequest,
      schema: {
        operationId: 'rotateWebhookSecret',
        summary:
          'Give a webhook another secret; calls are signed with the one of before as well for a while',
        tags,
        security,
        params,
        body: WebhookRotationBody,
        response: { 200: NewWebhookBody, default: ErrorBody },
      },
    },
    async (request) => {
      const { id } = request.params
      const rotated = await rotateWebhookSecret(deps, actorOf(request), id, request.body ?? {})
      return { ...webhookBody(rotated.webhook), secret: rotated.secret }
    },
  )

  app.post(
    '/admin/webhooks/:id/test',
    {
      onRequest,
      schema: {
        operationId: 'testWebhook',
        summary: 'Call an address now, once, and tell what it answered',
        tags,
        security,
        params,
        response: { 200: DeliveryBody, default: ErrorBody },
      },
    },
    async (request) => deliveryBody(await testWebhook(deps, request.params.id)),
  )

  app.get(
    '/admin/webhooks/deliveries',
    {
      onRequest,
      schema: {
        operationId: 'listWebhookDeliveries',
        summary: 'List the calls of all addresses, newest first, with what became of them',
        tags,
        security,
        querystring: Type.Object(
          { ...PAGE_QUERY, ...DELIVERY_QUERY },
          { additionalProperties: false },
        ),
        response: { 200: listOf(DeliveryBody), default: ErrorBody },
      },
    },
    async ({ query }) => {
      const { state = null, url = null } = query
      return listBody(await listDeliveries(pool, { state, url }, readPage(query)), deliveryBody)
    },
  )

  app.post(
    '/admin/webhooks/deliveries/:id/resend',
    {
      onRequest,
      schema: {
        operationId: 'resendWebhookDelivery',
        summary: 'Make a call again, whatever became of it',
        tags,
        security,
        params,
        response: { 200: DeliveryBody, default: ErrorBody },
      },
    },
    async (request) => deliveryBody(await resend(deps, actorOf(request), request.params.id)),
  )
}
