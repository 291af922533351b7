// /admin/exchanges: list, read, search the exchange log; conversations as threads.
//
// Admins read all of it, developers what belongs to their project.

import { Type } from 'typebox'

import {
  getExchange,
  getThread,
  listExchanges,
  readerFor,
  searchExchanges,
} from '../administration/exchanges.ts'
import { ExchangeBody, exchangeBody, HitBody, hitBody } from '../dialects/admin/exchange.ts'
import { FILTER_QUERY, readFilter } from '../dialects/admin/exchange-query.ts'
import { listBody, listOf, PAGE_QUERY, readPage } from '../dialects/admin/page.ts'
import { ErrorBody } from '../dialects/openai/error.ts'
import { GatewayError } from '../errors.ts'
import { actorOf, callerOf, requireRole } from '../plugins/roles.ts'
import type { Pool } from '../db/pool.ts'
import type { Pseudonyms } from '../privacy/pseudonyms.ts'
import type { App } from '../request.ts'
import type { FastifyRequest } from 'fastify'

const tags = ['exchanges']
const security = [{ key: [] }]
const params = Type.Object({ exchange: Type.String({ format: 'uuid', title: 'an id' }) })
const include = {
  include: Type.Optional(
    Type.Unsafe<'bodies'>({
      type: 'string',
      enum: ['bodies'],
      description: 'With what was said; who reads it is told in the audit log.',
    }),
  ),
}
const LIST_QUERY = {
  ...PAGE_QUERY,
  ...include,
  order: Type.Optional(
    Type.Unsafe<'newest' | 'oldest'>({
      type: 'string',
      enum: ['newest', 'oldest'],
      description: 'Which come first; without it the newest.',
    }),
  ),
}
const MAX_OFFSET = 1_000
const SEARCH_QUERY = {
  limit: PAGE_QUERY.limit,
  q: Type.String({
    minLength: 1,
    maxLength: 1_024,
    title: 'words, at most 1024 characters',
    description: 'Words that were said: all of these, "a phrase", one or another, -not.',
  }),
  offset: Type.Optional(
    Type.String({
      pattern: '^\\d{1,4}$',
      title: `a whole number up to ${MAX_OFFSET}`,
      description: 'Hits to leave out, as they were on the pages before.',
    }),
  ),
}
const THREAD_QUERY = Type.Object(include, { additionalProperties: false })

interface AdminExchangeDeps {
  pool: Pool
  /** of the words that are searched */
  language: string
  pseudonyms: Pseudonyms
}

export function adminExchangeRoutes(app: App, { pool, language, pseudonyms }: AdminExchangeDeps) {
  const onRequest = requireRole('developer')
  const readerOf = (request: FastifyRequest) =>
    readerFor(callerOf(request), { actor: actorOf(request), pseudonyms })

  app.get(
    '/admin/exchanges',
    {
      onRequest,
      schema: {
        operationId: 'listExchanges',
        summary: 'List exchanges that meet a filter, newest first',
        tags,
        security,
        querystring: Type.Object({ ...LIST_QUERY, ...FILTER_QUERY }),
        response: { 200: listOf(ExchangeBody), default: ErrorBody },
      },
    },
    async (request) => {
      const query = request.query
      const listing = {
        ...readPage(query),
        filter: readFilter(query, Object.keys(LIST_QUERY)),
        order: query.order ?? 'newest',
        withBodies: query.include === 'bodies',
      }
      const found = await listExchanges(pool, readerOf(request), listing)
      return listBody(found, ({ row, bodies }) => exchangeBody(row, bodies))
    },
  )

  app.get(
    '/admin/exchanges/search',
    {
      onRequest,
      schema: {
        operationId: 'searchExchanges',
        summary: 'Search what was said, best first',
        description: 'The newest matches are ranked, at most 1,000 of them.',
        tags,
        security,
        querystring: Type.Object({ ...SEARCH_QUERY, ...FILTER_QUERY }),
        response: {
          200: Type.Object({
            object: Type.Literal('list'),
            data: Type.Array(HitBody),
            has_more: Type.Boolean(),
            ranked: Type.Integer({ description: 'Matches that were ranked.' }),
            is_partial: Type.Boolean({ description: 'There are older ones, not ranked.' }),
            indexed_until: Type.Unsafe<string | null>({
              type: ['string', 'null'],
              format: 'date-time',
              description: 'What was written before is found; null: all that was written.',
            }),
          }),
          default: ErrorBody,
        },
      },
    },
    async (request) => {
      const query = request.query
      const search = {
        filter: readFilter(query, Object.keys(SEARCH_QUERY)),
        text: query.q,
        language,
        limit: readPage({ limit: query.limit }).limit,
        offset: readOffset(query.offset),
      }
      const found = await searchExchanges(pool, readerOf(request), search)
      return {
        object: 'list' as const,
        data: found.hits.map((hit) => hitBody(hit.row, hit)),
        has_more: found.hasMore,
        ranked: found.ranked,
        is_partial: found.isPartial,
        indexed_until: found.indexedUntil?.toISOString() ?? null,
      }
    },
  )

  app.get(
    '/admin/exchanges/:exchange',
    {
      onRequest,
      schema: {
        operationId: 'retrieveExchange',
        summary: 'Tell of one exchange, with what was said',
        tags,
        security,
        params,
        response: { 200: ExchangeBody, default: ErrorBody },
      },
    },
    async (request) => {
      const id = request.params.exchange.toLowerCase()
      const { row, bodies } = await getExchange(pool, readerOf(request), id)
      return exchangeBody(row, bodies)
    },
  )

  app.get(
    '/admin/exchanges/:exchange/thread',
    {
      onRequest,
      schema: {
        operationId: 'retrieveThread',
        summary: 'Tell of the conversation that an exchange belongs to, oldest first',
        tags,
        security,
        params,
        querystring: THREAD_QUERY,
        response: {
          200: Type.Object({
            object: Type.Literal('list'),
            data: Type.Array(ExchangeBody),
            is_cut: Type.Boolean({ description: 'There is more of it than can be told.' }),
          }),
          default: ErrorBody,
        },
      },
    },
    async (request) => {
      const id = request.params.exchange.toLowerCase()
      const withBodies = request.query.include === 'bodies'
      const { rows, isCut } = await getThread(pool, readerOf(request), id, withBodies)
      const data = rows.map(({ row, bodies }) => exchangeBody(row, bodies))
      return { object: 'list' as const, data, is_cut: isCut }
    },
  )
}

function readOffset(text = '0'): number {
  const offset = Number(text)
  if (offset <= MAX_OFFSET) return offset
  const message = `'offset' must be a whole number up to ${MAX_OFFSET}; got ${text}. Only so many are ranked.`
  throw new GatewayError('invalid_value', message, { param: 'offset' })
}
