// The one door to HTTP for downloads: proxies, time-outs, the hub's token, and answers turned into sentences.
//
// The token goes to the hub and to nobody else: not to the object store that a download is redirected to, not to the
// host that a `next` link names.
//
// Knows: requests. Does not know: which files are wanted.

import { EnvHttpProxyAgent, fetch } from 'undici'
import type { Response } from 'undici'

import { SourceError } from './fetched.ts'
import type { SourceSettings } from './fetched.ts'

export interface Http {
  /** @throws SourceError where the host can't be reached or the answer is none of 200 and 206 */
  get(
    url: string,
    options?: { headers?: Record<string, string>; signal?: AbortSignal },
  ): Promise<Response>
  close(): Promise<void>
}

/** @param of what is asked for, in errors: `hf:org/repo` */
export function openHttp(settings: SourceSettings, of: string): Http {
  const { connectTimeoutMs, stallTimeoutMs } = settings
  const dispatcher = new EnvHttpProxyAgent({
    // An empty string means none; undefined would have undici look into the environment itself.
    httpProxy: settings.httpProxy ?? '',
    httpsProxy: settings.httpsProxy ?? '',
    noProxy: settings.noProxy ?? '',
    connect: { timeout: connectTimeoutMs },
    headersTimeout: stallTimeoutMs,
    bodyTimeout: stallTimeoutMs,
  })
  const hub = new URL(settings.hubEndpoint).origin
  return {
    async get(url, { headers = {}, signal } = {}) {
      const isHub = new URL(url).origin === hub
      const authorization =
        isHub && settings.hubToken !== null ? { authorization: `Bearer ${settings.hubToken}` } : {}
      let response: Response
      try {
        response = await fetch(url, {
          dispatcher,
          signal,
          headers: { ...headers, ...authorization },
        })
      } catch (error) {
        signal?.throwIfAborted()
        throw unreachable(url, error, settings, of)
      }
      if (response.ok) return response
      const refusal = await refused(response, settings, of)
      throw refusal
    },
    close: () => dispatcher.destroy(),
  }
}

/** Nothing came for so long that trying again would only double the wait. */
export function isStall(error: unknown): boolean {
  return codeOf(error) === 'UND_ERR_BODY_TIMEOUT'
}

/** The sentence for a transfer that broke off. */
export function brokenOff(error: unknown, settings: SourceSettings): string {
  switch (codeOf(error)) {
    case 'UND_ERR_BODY_TIMEOUT':
    case 'UND_ERR_HEADERS_TIMEOUT':
      return `no byte came for ${seconds(settings.stallTimeoutMs)} s`
    case 'UND_ERR_CONNECT_TIMEOUT':
      return `no connection within ${seconds(settings.connectTimeoutMs)} s`
    case 'ENOTFOUND':
    case 'EAI_AGAIN':
      return 'its name is not known here (no network, or no DNS)'
    default:
      return deepest(error).message
  }
}

function unreachable(url: string, error: unknown, settings: SourceSettings, of: string) {
  const reason = brokenOff(error, settings)
  return new SourceError(`${of}: ${new URL(url).origin} can't be reached: ${reason}`, {
    cause: error,
  })
}

async function refused(response: Response, settings: SourceSettings, of: string) {
  const { status } = response
  const code = response.headers.get('x-error-code')
  // Reading the body gives the connection back; it is short or it is not ours to read.
  await response.body?.cancel()
  const host = new URL(response.url).origin
  const withToken = settings.hubToken === null ? 'without a token' : 'with the token in HF_TOKEN'
  if (code === 'GatedRepo' || status === 403) {
    return new SourceError(
      `${of} is gated (${status}, asked ${withToken}): accept its terms on its page at ${host}, ` +
        'and set HF_TOKEN to a token of that account that may read it',
    )
  }
  if (status === 401) {
    return new SourceError(
      settings.hubToken === null
        ? `${of}: ${host} has no such public repository (401); where it is private or gated, set HF_TOKEN`
        : `${of}: ${host} does not accept the token in HF_TOKEN (401)`,
    )
  }
  if (code === 'RevisionNotFound') return new SourceError(`${of}: ${host} has no such revision`)
  if (status === 404) {
    return new SourceError(
      `${of}: ${host} does not have it (404 at ${new URL(response.url).pathname})`,
    )
  }
  if (status === 429) {
    return new SourceError(
      `${of}: ${host} answers that there were too many requests (429); try later`,
    )
  }
  return new SourceError(`${of}: ${host} answered ${status} ${response.statusText}`.trimEnd())
}

function codeOf(error: unknown): string {
  const cause = deepest(error)
  return 'code' in cause && typeof cause.code === 'string' ? cause.code : ''
}

/** fetch wraps what happened in `fetch failed` or `terminated`. */
function deepest(error: unknown): Error {
  let found = error instanceof Error ? error : new Error(String(error))
  while (found.cause instanceof Error) found = found.cause
  return found
}

const seconds = (ms: number) => Math.round(ms / 100) / 10
