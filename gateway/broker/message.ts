// Messages of the exchange log: what the spool holds, in pieces that a broker carries.
//
// A message's body is what a segment file is: frames, of which the first says what the others are. Its properties say so:
//
//   content type  application/vnd.headrace.exchanges
//   headers       version: 1; suspect: true where some of it may have been written before
//
// Knows: bytes and properties. Does not know: the broker, SQL.

import { encodeFrames, readFrames } from '../exchange-log/frame.ts'
import { idOf } from '../db/exchanges.ts'
import type { EncodedExchanges } from '../db/exchange-tables.ts'

const CONTENT_TYPE = 'application/vnd.headrace.exchanges'
const VERSION = 1

/** Above what a message costs by itself, and far below what any broker takes. */
const MESSAGE_BYTES = 256 * 1024

export interface PackedMessage {
  contentType: string
  headers: { version: number; suspect: boolean }
  body: Buffer
}

/** What came over a broker, from whoever may publish there. */
export interface GivenMessage {
  contentType?: string
  headers?: Record<string, unknown>
  body: unknown
}

/** It will never be readable here, whatever is tried. */
export class PoisonMessage extends Error {
  override name = 'PoisonMessage'
}

/** A payload that is larger than the bound is a message of its own. */
export function packMessages(
  { heading, payloads, isSuspect }: EncodedExchanges,
  messageBytes = MESSAGE_BYTES,
): PackedMessage[] {
  const pieces: Buffer[][] = []
  let room = 0
  for (const payload of payloads) {
    if (payload.length > room) {
      pieces.push([])
      room = messageBytes
    }
    pieces.at(-1)!.push(payload)
    room -= payload.length
  }
  const first = Buffer.from(heading)
  return pieces.map((piece) => ({
    contentType: CONTENT_TYPE,
    headers: { version: VERSION, suspect: isSuspect },
    body: encodeFrames([first, ...piece]),
  }))
}

/** @throws PoisonMessage that says what is wrong with it */
export function unpackMessage({ contentType, headers, body }: GivenMessage): EncodedExchanges {
  if (contentType !== CONTENT_TYPE) {
    throw new PoisonMessage(
      `The content type is '${contentType ?? ''}'; allowed is ${CONTENT_TYPE}.`,
    )
  }
  if (headers?.['version'] !== VERSION) {
    throw new PoisonMessage(
      `The version is ${JSON.stringify(headers?.['version'])}; this release reads ${VERSION}.`,
    )
  }
  const { payloads: frames, rest } = Buffer.isBuffer(body)
    ? readFrames(body)
    : { payloads: [], rest: 'damaged' }
  const [first, ...payloads] = frames
  if (rest !== 'nothing' || !first) throw new PoisonMessage('The body is damaged, or cut off.')
  const heading = first.toString()
  if (!isHeading(heading)) throw new PoisonMessage('The first frame is no list of columns.')
  if (!payloads.every((payload) => UUID.test(idOf(payload)))) {
    throw new PoisonMessage('A frame does not begin with the id of an exchange.')
  }
  return { heading, payloads, isSuspect: headers['suspect'] === true }
}

const UUID = /^[\da-f]{8}-[\da-f]{4}-7[\da-f]{3}-[89ab][\da-f]{3}-[\da-f]{12}$/
/** These become SQL. */
const COLUMN = /^[a-z_]{1,63}$/

function isHeading(text: string): boolean {
  try {
    const heading = JSON.parse(text) as Record<string, unknown> | null
    return [heading?.['exchanges'], heading?.['bodies']].every(
      (columns) =>
        Array.isArray(columns) &&
        columns[0] === 'id' &&
        columns.every((name) => typeof name === 'string' && COLUMN.test(name)),
    )
  } catch {
    return false
  }
}
