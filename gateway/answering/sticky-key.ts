// What keeps the requests of a conversation, of an end user or of a caller on one target.
//
// Knows: requests, what a route asks for. Does not know: how a target is chosen by a key.

import { hash } from 'node:crypto'

import type { FastifyRequest } from 'fastify'

import type { Question } from '../backends/backend.ts'
import type { Route } from '../routing/route.ts'

/**
 * Of the first message's beginning, and of its end: many begin with the same long instructions or documents. Megabytes in
 * between are not worth their hash on every turn.
 */
const MAX_CHARACTERS = 4_096

/**
 * @param question null where there is no conversation
 * @returns null: none, wherever there is room
 */
export function stickyKeyOf(
  request: FastifyRequest,
  { sticky, stickyHeader }: Route,
  question: Question | null = null,
): string | null {
  if (sticky === undefined) {
    const value = stickyHeader === null ? undefined : request.headers[stickyHeader]
    return typeof value === 'string' && value !== '' ? value : null
  }
  const { caller, exchange } = request
  const whose = caller?.id ?? caller?.name ?? ''
  const { session = null, endUser = null } = exchange ?? {}
  if (sticky === 'session' && session !== null) return `session\n${whose}\n${session}`
  if (sticky === 'session' && question) {
    const beginning = beginningOf(question)
    if (beginning !== null) return `conversation\n${whose}\n${beginning}`
  }
  if (sticky === 'user' && endUser !== null) return `user\n${whose}\n${endUser}`
  return `caller\n${whose}`
}

/**
 * Clients send the whole conversation with every turn, so that its first words from outside name it. System prompts are
 * left out: they carry the time of day.
 */
function beginningOf(question: Question): string | null {
  if (question.kind !== 'chat') return null
  const first = question.messages.find(({ role }) => role === 'user')
  if (first?.role !== 'user') return null
  const text = first.content
    .map((part) => (part.type === 'text' ? part.text : part.type))
    .join('\n')
  const beginning = text.slice(0, MAX_CHARACTERS)
  const end = text.slice(Math.max(MAX_CHARACTERS, text.length - MAX_CHARACTERS))
  return hash('sha256', `${text.length}\n${beginning}\n${end}`)
}
