// What a request says about itself, as the row of its exchange has it: read before it is validated, so that the row of a
// refused one says what was asked.
//
// Knows: field names of the dialects. Does not know: which of them a route understands; that is for dialects.

import { isUtf8 } from 'node:buffer'

import type { FastifyRequest } from 'fastify'

import type { ExchangeRecord } from '../exchange/exchange-record.ts'

type Asked = Pick<
  ExchangeRecord,
  | 'requestedModel'
  | 'prompt'
  | 'parameters'
  | 'streamed'
  | 'endUser'
  | 'session'
  | 'tags'
  | 'metadata'
>

const MAX_NAME_CHARACTERS = 256
const MAX_TAGS = 16
const SESSION = 'x-headrace-session'
const TAGS = 'x-headrace-tags'

/** @returns null where the body is no JSON object: files and forms are never logged */
export function readAsked({ body, headers }: FastifyRequest): Asked | null {
  if (!isJsonObject(body)) return null
  const { model, messages, prompt, input, query, documents, ...parameters } = body
  const { user, safety_identifier: identifier, metadata } = parameters
  const pairs = isJsonObject(metadata) ? metadata : {}
  return {
    requestedModel: nameOf(model),
    prompt: messages ?? prompt ?? input ?? searched(query, documents),
    parameters,
    streamed: parameters['stream'] === true,
    // `metadata.user_id` is Anthropic's.
    endUser: nameOf(identifier) ?? nameOf(user) ?? nameOf(pairs['user_id']),
    session: nameOf(textOf(headers[SESSION])) ?? nameOf(pairs['session_id']),
    tags: tagsOf(textOf(headers[TAGS])),
    metadata: areTexts(pairs) ? pairs : null,
  }
}

/** A query and what it is held against. */
function searched(query: unknown, documents: unknown): unknown {
  return query === undefined && documents === undefined ? null : { query, documents }
}

/** Node reads headers as Latin-1, and clients that send more than ASCII in them send UTF-8. */
function textOf(header: unknown): unknown {
  if (typeof header !== 'string' || !/[^\x20-\x7e]/.test(header)) return header
  const bytes = Buffer.from(header, 'latin1')
  return isUtf8(bytes) ? bytes.toString() : header
}

function nameOf(value: unknown): string | null {
  return typeof value === 'string' && value !== '' ? value.slice(0, MAX_NAME_CHARACTERS) : null
}

function tagsOf(header: unknown): string[] | null {
  if (typeof header !== 'string') return null
  const tags = header.split(',', MAX_TAGS).map((tag) => tag.trim().slice(0, MAX_NAME_CHARACTERS))
  return tags.filter((tag) => tag !== '')
}

function areTexts(pairs: Record<string, unknown>): pairs is Record<string, string> {
  const values = Object.values(pairs)
  return values.length > 0 && values.every((value) => typeof value === 'string')
}

function isJsonObject(value: unknown): value is Record<string, unknown> {
  return (
    typeof value === 'object' && value !== null && Object.getPrototypeOf(value) === Object.prototype
  )
}
