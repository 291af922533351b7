// Reads a request's JSON body, up to a length.

import type { IncomingMessage } from 'node:http'

import { MAX_BODY_BYTES } from '../protocol.ts'
import { Refusal } from './refusal.ts'

/** @throws Refusal saying what is wrong with it */
export async function readJson(request: IncomingMessage): Promise<unknown> {
  // Also what keeps web pages out: a browser asks first before it sends this type to another origin.
  const type = request.headers['content-type'] ?? 'none'
  if (!/^application\/json\s*(;|$)/i.test(type)) {
    throw new Refusal(415, `The body has to be application/json; its content-type is ${type}.`)
  }
  const announced = Number(request.headers['content-length'] ?? 0)
  if (announced > MAX_BODY_BYTES) throw tooLong(announced)
  const chunks: Buffer[] = []
  let length = 0
  for await (const chunk of request as AsyncIterable<Buffer>) {
    length += chunk.length
    if (length > MAX_BODY_BYTES) throw tooLong(length)
    chunks.push(chunk)
  }
  try {
    return JSON.parse(Buffer.concat(chunks).toString())
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause)
    throw new Refusal(400, `The body is not JSON: ${reason}`, { cause })
  }
}

function tooLong(bytes: number): Refusal {
  const message = `The body has at least ${bytes} bytes; ${MAX_BODY_BYTES} are allowed.`
  return new Refusal(413, message)
}
