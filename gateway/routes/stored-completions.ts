// OpenAI's stored completions: chat completions that were asked with `store: true`, listed, read, given other metadata
// and deleted. Another owner's are not there.

import { Type } from 'typebox'

import { readMetadata } from '../dialects/openai/metadata.ts'
import { ChatCompletion } from '../dialects/openai/responses.ts'
import {
  ChatCompletionList,
  ChatMessageList,
  DeletedChatCompletion,
  listBody,
  storedCompletionBody,
  storedMessagesBody,
} from '../dialects/openai/stored-completion.ts'
import { readLater } from '../dialects/openai/schema.ts'
import { storable } from '../dialects/admin/feedback.ts'
import { ErrorBody } from '../dialects/openai/error.ts'
import { GatewayError } from '../errors.ts'
import { parseExchangeId } from '../feedback/exchange-id.ts'
import { actorOf, callerOf } from '../plugins/roles.ts'
import type { StoredCompletions } from '../responses/stored-completions.ts'
import type { App } from '../request.ts'

const tags = ['stored completions']
const security = [{ key: [] }]
const params = Type.Object({ id: Type.String() })

// In a query everything is text.
const PAGING = {
  limit: Type.Optional(
    Type.String({ pattern: '^([1-9]\\d?|100)$', title: 'a whole number from 1 to 100' }),
  ),
  order: Type.Optional(
    Type.Unsafe<'asc' | 'desc'>({ title: '"asc" or "desc"', enum: ['asc', 'desc'] }),
  ),
  after: Type.Optional(Type.String()),
}
const DEFAULT_LIMIT = 20

export function storedCompletionRoutes(app: App, { stored }: { stored: StoredCompletions }) {
  app.get(
    '/v1/chat/completions',
    {
      schema: {
        operationId: 'listChatCompletions',
        summary: 'List stored chat completions, by `metadata[name]=value` too',
        tags,
        security,
        querystring: Type.Object(
          { ...PAGING, model: Type.Optional(Type.String()) },
          { additionalProperties: true },
        ),
        response: { 200: ChatCompletionList, default: ErrorBody },
      },
    },
    async (request, reply) => {
      const { model, order = 'asc', limit, after } = request.query
      const filter = { model: storable(model), metadata: metadataOf(request.query), order }
      const page = { limit: Number(limit ?? DEFAULT_LIMIT), after: readAfter(after) }
      const { rows, hasMore } = await stored.list(callerOf(request), filter, page)
      return reply.send(listBody(rows.map(storedCompletionBody), hasMore) as never)
    },
  )

  app.get(
    '/v1/chat/completions/:id',
    {
      schema: {
        operationId: 'getChatCompletion',
        summary: 'Read a stored chat completion',
        tags,
        security,
        params,
        response: { 200: ChatCompletion, default: ErrorBody },
      },
    },
    async (request, reply) => {
      const found = await stored.find(callerOf(request), request.params.id)
      return reply.send(storedCompletionBody(found) as never)
    },
  )

  app.get(
    '/v1/chat/completions/:id/messages',
    {
      schema: {
        operationId: 'getChatCompletionMessages',
        summary: 'List the messages that a stored chat completion was asked with',
        tags,
        security,
        params,
        querystring: Type.Object(PAGING, { additionalProperties: true }),
        response: { 200: ChatMessageList, default: ErrorBody },
      },
    },
    async (request, reply) => {
      const { order = 'asc', limit, after } = request.query
      const found = await stored.find(callerOf(request), request.params.id)
      const paging = { order, limit: Number(limit ?? DEFAULT_LIMIT), after }
      return reply.send(storedMessagesBody(found, paging))
    },
  )

  app.post(
    '/v1/chat/completions/:id',
    {
      schema: {
        operationId: 'updateChatCompletion',
        summary: 'Give a stored chat completion other metadata, instead of what it had',
        tags,
        security,
        params,
        body: Type.Object(
          { metadata: readLater('Up to 16 strings by name, or null for none.') },
          { required: ['metadata'], additionalProperties: false },
        ),
        response: { 200: ChatCompletion, default: ErrorBody },
      },
    },
    async (request, reply) => {
      const metadata = withStorable(readMetadata(request.body.metadata))
      const updated = await stored.update(callerOf(request), request.params.id, metadata)
      return reply.send(storedCompletionBody(updated) as never)
    },
  )

  app.delete(
    '/v1/chat/completions/:id',
    {
      schema: {
        operationId: 'deleteChatCompletion',
        summary:
          'Delete a stored chat completion: its texts go, what it took and cost stays logged',
        tags,
        security,
        params,
        response: { 200: DeletedChatCompletion, default: ErrorBody },
      },
    },
    async (request) => {
      const { id } = request.params
      await stored.delete(callerOf(request), id, actorOf(request))
      return { object: 'chat.completion.deleted' as const, id, deleted: true }
    },
  )
}

function withStorable(metadata: Record<string, string>): Record<string, string> {
  return Object.fromEntries(
    Object.entries(metadata).map(([name, value]) => [storable(name), storable(value)]),
  )
}

/** `metadata[name]=value`, as many as there are */
function metadataOf(query: Record<string, unknown>): Record<string, string> | undefined {
  const metadata: Record<string, unknown> = {}
  for (const [param, value] of Object.entries(query)) {
    const name = /^metadata\[(.*)\]$/s.exec(param)?.[1]
    if (name !== undefined) metadata[name] = value
  }
  if (Object.keys(metadata).length === 0) return undefined
  return withStorable(readMetadata(metadata))
}

function readAfter(after: string | undefined): string | null {
  if (after === undefined || after === '') return null
  const id = parseExchangeId(after, Date.now())
  if (id !== null) return id
  throw new GatewayError(
    'invalid_value',
    `'after' must be the id of a stored chat completion; got '${after.slice(0, 60)}'.`,
    { param: 'after' },
  )
}
