// The admin API of the server that runs, for commands that only it can do: those that load models and move traffic.
//
// Where it is: HEADRACE_URL, else what a server on this data folder wrote down, else where it would listen by the
// settings. With which key: HEADRACE_API_KEY, else the admin key as a server has it.

import { once } from 'node:events'
import { readFile } from 'node:fs/promises'
import { request as requestHttp } from 'node:http'
import type { IncomingMessage } from 'node:http'
import { request as requestHttps } from 'node:https'
import { userInfo } from 'node:os'
import { join } from 'node:path'
import { text as textOf } from 'node:stream/consumers'

import type { Settings } from '../gateway/settings/settings.ts'

export const URL_FILE = 'server-url'
/** on the same machine */
const ALIVE_MS = 5_000

export interface ServerApi {
  /** @throws Error in the server's words */
  ask<Answer extends object = Record<string, unknown>>(
    method: 'GET' | 'POST' | 'DELETE',
    path: string,
    body?: object,
  ): Promise<Answer>
}

/** What the server said no to. */
export class ServerRefusal extends Error {
  override name = 'ServerRefusal'
  /** of gateway/errors.ts; null: whatever answered is none of ours */
  readonly code: string | null

  constructor(message: string, code: string | null) {
    super(message)
    this.code = code
  }
}

/** The server that runs on this data folder; null: none does. @throws Error where there is one that doesn't answer */
export async function serverOfFolder(settings: Settings): Promise<ServerApi | null> {
  const url = await readWritten(settings, URL_FILE)
  if (url === null) return null
  try {
    // One that was killed leaves its address behind.
    await fetch(new URL('/healthz', url), { signal: AbortSignal.timeout(ALIVE_MS) })
  } catch (error) {
    if (!(error instanceof Error && error.name === 'TimeoutError')) return null
    throw new Error(`The server at ${url} does not answer.`, { cause: error })
  }
  return serverApi({ ...settings, serverUrl: url })
}

export function serverApi(settings: Settings): ServerApi {
  return {
    async ask<Answer extends object>(method: string, path: string, body?: object) {
      const url =
        settings.serverUrl ?? (await readWritten(settings, URL_FILE)) ?? localUrl(settings)
      const key = settings.apiKey ?? settings.adminKey ?? (await readWritten(settings, 'admin-key'))
      if (key === null) {
        throw new Error(
          `There is no key for ${url}: set HEADRACE_API_KEY, or HEADRACE_DATA_DIR to the folder of the server.`,
        )
      }
      const headers = {
        authorization: `Bearer ${key}`,
        // Who holds the admin key has no name of their own.
        'x-headrace-actor': encodeURIComponent(userInfo().username),
        ...(body && { 'content-type': 'application/json' }),
      }
      const sent = { method, headers, body: body && JSON.stringify(body) }
      const { status, text } = await reach(url, path, sent)
      if (status < 300) return JSON.parse(text || '{}') as Answer
      const { message, code } = refusalOf(text)
      throw new ServerRefusal(message ?? `${url} answered with status ${status}.`, code)
    },
  }
}

interface Sent {
  method: string
  headers: Record<string, string>
  body: string | undefined
}

/** Not by fetch, which gives up after five minutes: a large version may take longer to load, or an old one to end. */
async function reach(url: string, path: string, { method, headers, body }: Sent) {
  const target = new URL(path, url)
  const isSecure = target.protocol === 'https:'
  const request = (isSecure ? requestHttps : requestHttp)(target, { method, headers })
  let isReached = false
  request.once('socket', (socket) => {
    // One that was kept from the request before says nothing of itself any more.
    if (socket.connecting) {
      socket.once(isSecure ? 'secureConnect' : 'connect', () => (isReached = true))
    } else {
      isReached = true
    }
  })
  try {
    request.end(body)
    const [response] = (await once(request, 'response')) as [IncomingMessage]
    return { status: response.statusCode ?? 0, text: await textOf(response) }
  } catch (cause) {
    const { message, code } = cause as NodeJS.ErrnoException
    const reason = message || code
    throw new Error(
      isReached
        ? `The connection to ${url} broke before there was an answer: ${reason}. What was asked for may go on there.`
        : `No server can be reached at ${url}: ${reason}. Start one by headrace serve, or set HEADRACE_URL.`,
      { cause },
    )
  }
}

function refusalOf(text: string): { message: string | null; code: string | null } {
  const textOr = (value: unknown) => (typeof value === 'string' ? value : null)
  try {
    const { error } = JSON.parse(text) as { error?: { message?: unknown; code?: unknown } }
    return { message: textOr(error?.message), code: textOr(error?.code) }
  } catch {
    return { message: null, code: null }
  }
}

async function readWritten({ dataDir }: Settings, name: string): Promise<string | null> {
  const text = await readFile(join(dataDir, name), 'utf8').catch(() => '')
  return text.trim() || null
}

function localUrl({ host, port }: Settings): string {
  const name = host === '0.0.0.0' || host === '::' ? '127.0.0.1' : host
  return `http://${name.includes(':') ? `[${name}]` : name}:${port}`
}
