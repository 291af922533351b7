// Which exchange an id names: clients know it as `x-request-id`, or as the id of their answer.
//
// Ids are UUIDv7: they say when the exchange began, so that one can be told from a made-up one before its row is there.
//
// Knows: ids and time. Does not know: whether there is such an exchange.

import { timeOfId } from '../db/partitions.ts'
import { GatewayError } from '../errors.ts'

const MAX_SHOWN = 60
const HEX =
  /^(?:(?:chatcmpl|cmpl)-|(?:msg|resp)_)?([0-9a-f]{8})-?([0-9a-f]{4})-?(7[0-9a-f]{3})-?([89ab][0-9a-f]{3})-?([0-9a-f]{12})$/
/** clocks of servers differ by less */
const AHEAD_MS = 60_000

/** @returns null where no exchange can have it */
export function parseExchangeId(text: string, nowMs: number): string | null {
  const parts = HEX.exec(text)
  if (!parts) return null
  const id = parts.slice(1).join('-')
  return timeOfId(id) <= nowMs + AHEAD_MS ? id : null
}

/** @throws GatewayError 404 */
export function readExchangeId(text: string, nowMs: number): string {
  const id = parseExchangeId(text, nowMs)
  if (id === null) throw exchangeNotFound(text)
  return id
}

export function exchangeNotFound(id: string) {
  return new GatewayError(
    'exchange_not_found',
    `There is no exchange '${id.slice(0, MAX_SHOWN)}' of yours: an exchange is named by the x-request-id of its answer, or by the answer's own id.`,
  )
}
