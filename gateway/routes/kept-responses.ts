// Responses that are kept: read, with what they were asked, and deleted. Another owner's are not there.

import { Type } from 'typebox'

import { itemList } from '../dialects/openai-responses/item-list.ts'
import { DeletedResponse, ItemList, Response } from '../dialects/openai-responses/shapes.ts'
import { ErrorBody } from '../dialects/openai/error.ts'
import { GatewayError } from '../errors.ts'
import type { Caller } from '../callers/caller.ts'
import type { App } from '../request.ts'
import type { KeptResponses } from '../responses/kept-responses.ts'

const Params = Type.Object({ id: Type.String() })

/** `include` names details that are told anyway, or that nothing here has. */
const Retrieving = Type.Object(
  { stream: Type.Optional(Type.String()), include: Type.Optional(Type.Unknown()) },
  { additionalProperties: true },
)

// In a query everything is text: bounds of numbers are looked at by hand.
const Paging = Type.Object(
  {
    limit: Type.Optional(Type.String()),
    order: Type.Optional(
      Type.Unsafe<'asc' | 'desc'>({ title: '"asc" or "desc"', enum: ['asc', 'desc'] }),
    ),
    after: Type.Optional(Type.String()),
    include: Type.Optional(Type.Unknown()),
  },
  { additionalProperties: true },
)

const DEFAULT_LIMIT = 20
const MAX_LIMIT = 100

export function keptResponseRoutes(app: App, { responses }: { responses: KeptResponses }) {
  const documented = (operationId: string, summary: string) => ({
    operationId,
    summary,
    tags: ['responses'],
    params: Params,
  })

  app.get(
    '/v1/responses/:id',
    {
      schema: {
        ...documented('getResponse', 'Read a response'),
        querystring: Retrieving,
        response: { 200: Response, default: ErrorBody },
      },
    },
    async (request, reply) => {
      if (request.query.stream === 'true') {
        throw new GatewayError(
          'unsupported_parameter',
          "'stream' can't be honoured: a response that is kept is whole, and its events are not kept.",
          { param: 'stream' },
        )
      }
      const { body } = await responses.find(request.params.id, callerOf(request))
      // It is JSON text already.
      return reply.type('application/json; charset=utf-8').send(body as never)
    },
  )

  app.delete(
    '/v1/responses/:id',
    {
      schema: {
        ...documented('deleteResponse', 'Delete a response'),
        response: { 200: DeletedResponse, default: ErrorBody },
      },
    },
    async (request) => {
      const { id } = request.params
      await responses.delete(id, callerOf(request))
      return { id, object: 'response' as const, deleted: true }
    },
  )

  app.get(
    '/v1/responses/:id/input_items',
    {
      schema: {
        ...documented('listInputItems', 'List the items that a response was asked with'),
        querystring: Paging,
        response: { 200: ItemList, default: ErrorBody },
      },
    },
    async (request) => {
      const { order = 'desc', after } = request.query
      const limit = readLimit(request.query.limit)
      const { input } = await responses.find(request.params.id, callerOf(request))
      return itemList(input, { limit, order, after })
    },
  )

  app.post(
    '/v1/responses/:id/cancel',
    {
      schema: {
        ...documented('cancelResponse', 'Refused: responses in the background are not supported'),
        response: { default: ErrorBody },
      },
    },
    async (request) => {
      const { id } = request.params
      await responses.find(id, callerOf(request))
      throw new GatewayError(
        'response_not_cancellable',
        `Response '${id}' can't be cancelled: only responses in the background can, and this one is complete. To stop a stream, close it.`,
      )
    },
  )
}

function callerOf({ caller }: { caller: Caller | null }): Caller {
  if (caller) return caller
  throw new Error('Kept responses are asked for by nobody. This is a bug.')
}

function readLimit(text: string | undefined): number {
  if (text === undefined) return DEFAULT_LIMIT
  const limit = /^\d{1,4}$/.test(text) ? Number(text) : 0
  if (limit >= 1 && limit <= MAX_LIMIT) return limit
  throw new GatewayError(
    'invalid_value',
    `'limit' must be a whole number from 1 to ${MAX_LIMIT}; got ${JSON.stringify(text.slice(0, 60))}.`,
    { param: 'limit' },
  )
}
