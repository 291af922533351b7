// What a request carries on its way through the house, and the type of the server it goes through.
//
// Services are not hung on requests; they come as arguments.

import type { IncomingMessage, ServerResponse } from 'node:http'

import type { TypeBoxTypeProvider } from '@fastify/type-provider-typebox'
import type { FastifyBaseLogger, FastifyInstance, RawServerDefault } from 'fastify'

import type { Caller } from './callers/caller.ts'
import type { Exchange } from './exchange/exchange.ts'

declare module 'fastify' {
  interface FastifyRequest {
    /** null where requests are not recorded: health, metrics, models */
    exchange: Exchange | null
    /** null until the key was checked */
    caller: Caller | null
  }
}

export type App = FastifyInstance<
  RawServerDefault,
  IncomingMessage,
  ServerResponse,
  FastifyBaseLogger,
  TypeBoxTypeProvider
>
