// JSON bodies, read: what is wrong with one is told with the parser's own word for it, and what is left holds nothing that
// whoever walks it, copies it or writes it again would stumble over.
//
// Knows: bytes, JSON. Does not know: what any of it means.

import { isUtf8 } from 'node:buffer'

import { GatewayError } from '../errors.ts'
import type { App } from '../request.ts'

/**
 * Schemas of tools, the deepest there is in practice, have about ten; serde_json takes as many as this. Whatever reads or
 * writes a body recurses: ten thousand levels overflow its stack, wherever that happens to be, as an error of ours.
 */
const MAX_DEPTH = 128
/** of one object; requests have tens. The largest body has room for a million, which take a second to copy */
const MAX_MEMBERS = 10_000

const BYTE_ORDER_MARK = Buffer.from('\uFEFF')

export function readJson(app: App) {
  app.removeAllContentTypeParsers()
  app.addContentTypeParser<Buffer>(
    'application/json',
    { parseAs: 'buffer' },
    ({ headers }, bytes, done) => {
      try {
        done(null, parse(bytes, headers['content-encoding']))
      } catch (error) {
        done(error as Error)
      }
    },
  )
}

function parse(bytes: Buffer, encoding: string | undefined): unknown {
  if (encoding !== undefined && encoding !== 'identity') {
    throw new GatewayError(
      'unsupported_media_type',
      `The request body must come as it is, without content-encoding; got '${encoding.slice(0, 60)}'.`,
    )
  }
  // Decoding would put another character in the place of whatever isn't one.
  if (!isUtf8(bytes)) throw notJson('it is not UTF-8')
  const isMarked = bytes.subarray(0, BYTE_ORDER_MARK.length).equals(BYTE_ORDER_MARK)
  const text = bytes.toString('utf8', isMarked ? BYTE_ORDER_MARK.length : 0)
  if (text.trim() === '') {
    throw new GatewayError('empty_body', 'The request body is empty; JSON is expected.')
  }
  const body = parseText(text)
  refuseTrouble(body)
  return body
}

function parseText(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch (error) {
    throw notJson(error instanceof SyntaxError ? error.message.slice(0, 200) : String(error))
  }
}

function notJson(why: string): GatewayError {
  return new GatewayError('invalid_json', `The request body is not valid JSON: ${why}`)
}

function refuseTrouble(body: unknown) {
  if (typeof body !== 'object' || body === null) return
  const own = troubleOfNames(body)
  if (own !== null) throw new GatewayError('invalid_value', `The request body ${own}.`)
  for (const [name, value] of Object.entries(body)) {
    const trouble = troubleIn(value, MAX_DEPTH - 1)
    if (trouble === null) continue
    const param = name.slice(0, 60)
    throw new GatewayError('invalid_value', `'${param}' ${trouble}.`, { param })
  }
}

/** @param depth levels that may still follow */
function troubleIn(value: unknown, depth: number): string | null {
  if (typeof value !== 'object' || value === null) return null
  if (depth === 0) return `is nested too deeply: at most ${MAX_DEPTH} levels are allowed`
  if (Array.isArray(value)) {
    for (const each of value) {
      const trouble = troubleIn(each, depth - 1)
      if (trouble !== null) return trouble
    }
    return null
  }
  const own = troubleOfNames(value)
  if (own !== null) return own
  const members = value as Record<string, unknown>
  for (const name in members) {
    const trouble = troubleIn(members[name], depth - 1)
    if (trouble !== null) return trouble
  }
  return null
}

function troubleOfNames(object: object): string | null {
  if (Array.isArray(object)) return null
  // It would become the prototype of whatever it is copied into, and be gone from there.
  if (Object.hasOwn(object, '__proto__')) return "has a member '__proto__', which is not allowed"
  let members = 0
  // oxlint-disable-next-line no-unused-vars -- listing the names first would cost what is to be bounded
  for (const _name in object) {
    if (++members > MAX_MEMBERS) return `has too many members: at most ${MAX_MEMBERS} are allowed`
  }
  return null
}
