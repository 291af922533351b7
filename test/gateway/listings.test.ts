// What the server tells of itself: its models and its OpenAPI document.

import assert from 'node:assert/strict'
import { test } from 'node:test'

import { LIVE, startGateway } from '../support/gateway.ts'
import { Keyring } from '../../gateway/secrets.ts'
import type { Switchboard } from '../../gateway/deployments/switchboard.ts'
import type { Webhooks } from '../../gateway/deployments/webhooks.ts'

test('models are listed by name, and found by name or version', async (t) => {
  const { client } = await startGateway(t)
  const { data } = await client.models.list()
  assert.deepEqual(
    data.map(({ id }) => id),
    ['guide', 'other'],
  )
  const { data: live, response } = await client.models.retrieve('guide').withResponse()
  assert.equal(live.created, Date.parse('2026-02-01T00:00:00Z') / 1000)
  assert.equal(response.headers.get('x-headrace-version'), LIVE)
  const pinned = await client.models.retrieve('guide@1')
  assert.deepEqual(
    [pinned.id, pinned.created],
    ['guide@1', Date.parse('2026-01-01T00:00:00Z') / 1000],
  )
  await assert.rejects(client.models.retrieve('nope'), { status: 404, code: 'model_not_found' })
})

test('the OpenAPI document describes every route', async (t) => {
  // Nobody is asked to deploy anything.
  const deployments = { switchboard: {} as Switchboard }
  const webhooks = { webhooks: {} as Webhooks, keyring: new Keyring([]) }
  const { url } = await startGateway(t, { deps: { deployments, webhooks } })
  const document = (await (await fetch(`${url}/openapi.json`)).json()) as {
    openapi: string
    paths: Record<string, Record<string, { operationId?: string; requestBody?: unknown }>>
  }
  assert.equal(document.openapi, '3.1.0')
  assert.deepEqual(Object.keys(document.paths).sort(), [
    '/admin/analytics',
    '/admin/analytics/errors',
    '/admin/analytics/most-expensive',
    '/admin/analytics/prompts',
    '/admin/analytics/slowest',
    '/admin/analytics/slowest-first-token',
    '/admin/audit',
    '/admin/catalog/attachments/{attachment}',
    '/admin/catalog/models',
    '/admin/catalog/models/{model}',
    '/admin/catalog/models/{model}/card',
    '/admin/catalog/models/{model}/card.html',
    '/admin/catalog/models/{model}/card.md',
    '/admin/catalog/models/{model}/evaluations',
    '/admin/catalog/models/{model}/notes',
    '/admin/catalog/models/{model}/versions',
    '/admin/catalog/models/{model}/versions/{version}',
    '/admin/catalog/models/{model}/versions/{version}/evaluations',
    '/admin/catalog/models/{model}/versions/{version}/metrics',
    '/admin/catalog/notes/search',
    '/admin/catalog/notes/{note}',
    '/admin/catalog/notes/{note}/attachments',
    '/admin/end-users/{end_user}',
    '/admin/end-users/{end_user}/export',
    '/admin/engines',
    '/admin/engines/load',
    '/admin/engines/unload',
    '/admin/exchanges',
    '/admin/exchanges/search',
    '/admin/exchanges/tail',
    '/admin/exchanges/{exchange}',
    '/admin/exchanges/{exchange}/thread',
    '/admin/exchanges/{id}/deployment',
    '/admin/exchanges/{id}/feedback',
    '/admin/exchanges/{id}/scores',
    '/admin/export',
    '/admin/feedback',
    '/admin/feedback/sums',
    '/admin/feedback/worst',
    '/admin/feedback/{id}',
    '/admin/keys',
    '/admin/keys/{key}',
    '/admin/keys/{key}/rotate',
    '/admin/models/{model}/canary',
    '/admin/models/{model}/deployments',
    '/admin/models/{model}/deployments/at',
    '/admin/models/{model}/live',
    '/admin/models/{model}/requirements',
    '/admin/models/{model}/rollback',
    '/admin/models/{model}/shadows',
    '/admin/models/{model}/shadows/summary',
    '/admin/projects',
    '/admin/projects/{project}',
    '/admin/scores',
    '/admin/scores/{id}',
    '/admin/webhooks',
    '/admin/webhooks/deliveries',
    '/admin/webhooks/deliveries/{id}/resend',
    '/admin/webhooks/{id}',
    '/admin/webhooks/{id}/rotate',
    '/admin/webhooks/{id}/test',
    '/healthz',
    '/metrics',
    '/readyz',
    '/v1/audio/speech',
    '/v1/audio/transcriptions',
    '/v1/audio/translations',
    '/v1/batches',
    '/v1/batches/{id}',
    '/v1/batches/{id}/cancel',
    '/v1/chat/completions',
    '/v1/chat/completions/{id}',
    '/v1/chat/completions/{id}/messages',
    '/v1/classify',
    '/v1/completions',
    '/v1/embeddings',
    '/v1/exchanges/{id}/feedback',
    '/v1/exchanges/{id}/feedback-token',
    '/v1/feedback',
    '/v1/files',
    '/v1/files/{id}',
    '/v1/files/{id}/content',
    '/v1/images/edits',
    '/v1/images/generations',
    '/v1/images/variations',
    '/v1/messages',
    '/v1/messages/count_tokens',
    '/v1/models',
    '/v1/models/{model}',
    '/v1/moderations',
    '/v1/rerank',
    '/v1/responses',
    '/v1/responses/{id}',
    '/v1/responses/{id}/cancel',
    '/v1/responses/{id}/input_items',
    '/v1/uploads',
    '/v1/uploads/{id}/cancel',
    '/v1/uploads/{id}/complete',
    '/v1/uploads/{id}/parts',
  ])
  const chat = document.paths['/v1/chat/completions']?.['post']
  assert.equal(chat?.operationId, 'createChatCompletion')
  assert.match(JSON.stringify(chat?.requestBody), /repetition_penalty/)
})
