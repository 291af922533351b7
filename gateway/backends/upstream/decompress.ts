// A compressed body, decompressed as it arrives.
//
// Nothing is waited for: what an upstream flushed can be read, so that an event stream behind a compressing proxy flows
// as it would without. A body that ends early is an error, as in a connection that breaks.
//
// Knows: encodings of HTTP. Does not know: what is in the body.

import { createBrotliDecompress, createGunzip, createInflate, createInflateRaw } from 'node:zlib'
import { pipeline } from 'node:stream/promises'
import type { Transform } from 'node:stream'

import { UpstreamFault } from './fault.ts'
import type { Arrival } from './http-arrival.ts'

export function isCompressed(encoding: string | undefined): encoding is string {
  return encoding !== undefined && encoding !== '' && encoding.toLowerCase() !== 'identity'
}

/** @throws UpstreamFault where it can't be decompressed; else what the arrival rejects with */
export async function* decompress(arrival: Arrival, encoding: string): AsyncGenerator<Buffer> {
  const first = await arrival.take()
  // Nothing was compressed: an answer to HEAD, a 204.
  if (!first) return
  const decoder = decoderFor(encoding, first[0]?.[0] ?? 0)
  let failure: { error: unknown } | null = null
  const fed = pipeline(async function* () {
    try {
      for (let chunks: Buffer[] | null = first; chunks; chunks = await arrival.take()) {
        yield* chunks
      }
    } catch (error) {
      failure = { error }
      throw error
    }
  }, decoder)
  // Told by the reading below; a reader who left does not want to know.
  fed.catch(() => {})
  try {
    yield* decoder as AsyncIterable<Buffer>
  } catch (error) {
    // TypeScript does not see the assignment in the generator.
    const arrived = failure as { error: unknown } | null
    if (arrived) throw arrived.error
    const { code, message } = error as NodeJS.ErrnoException
    const kind = code === 'Z_BUF_ERROR' ? 'cut' : 'malformed'
    throw new UpstreamFault(kind, `A body encoded with ${encoding} can't be read: ${message}.`)
  }
}

function decoderFor(encoding: string, firstByte: number): Transform {
  switch (encoding.trim().toLowerCase()) {
    case 'gzip':
    case 'x-gzip':
      return createGunzip()
    case 'br':
      return createBrotliDecompress()
    case 'deflate':
      // What is meant is zlib's format, whose first byte says so; some servers send the bare stream.
      return (firstByte & 0x0f) === 8 ? createInflate() : createInflateRaw()
    default:
      throw new UpstreamFault('malformed', `A body has the unknown encoding '${encoding}'.`)
  }
}
