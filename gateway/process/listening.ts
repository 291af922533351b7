// The gateway's own address: whether it is free, how it is written, and what is open on it.

import { once } from 'node:events'
import { createServer } from 'node:net'
import type { Server } from 'node:http'

/** Before anything that takes long. @throws Error in one sentence */
export async function checkPortIsFree(host: string, port: number): Promise<void> {
  const server = createServer()
  try {
    server.listen({ host, port, exclusive: true })
    await once(server, 'listening')
  } catch (error) {
    throw describeListenError(error, host, port)
  }
  server.close()
  await once(server, 'close')
}

export function describeListenError(error: unknown, host: string, port: number): Error {
  const code = error instanceof Error && 'code' in error ? error.code : null
  const where = `port ${port} of ${host}`
  switch (code) {
    case 'EADDRINUSE':
      return new Error(
        `Something else listens on ${where} already; stop it, or set HEADRACE_PORT to another port.`,
        { cause: error },
      )
    case 'EACCES':
      return new Error(`Listening on ${where} is not allowed to this user; set HEADRACE_PORT.`, {
        cause: error,
      })
    case 'EADDRNOTAVAIL':
    case 'ENOTFOUND':
      return new Error(`HEADRACE_HOST is '${host}', which is no address of this machine.`, {
        cause: error,
      })
    default:
      return new Error(`Listening on ${where} failed: ${String(error)}`, { cause: error })
  }
}

/** An address that a client on this machine can use. */
export function urlOf(host: string, port: number): string {
  if (host === '0.0.0.0' || host === '::') return `http://127.0.0.1:${port}`
  return `http://${host.includes(':') ? `[${host}]` : host}:${port}`
}

/** How many answers are on their way. */
export class OpenAnswers {
  #count = 0
  #whenNone: (() => void)[] = []

  constructor(server: Server) {
    server.on('request', (_request, response) => {
      this.#count++
      response.once('close', () => {
        this.#count--
        if (this.#count === 0) for (const resolve of this.#whenNone.splice(0)) resolve()
      })
    })
  }

  get count(): number {
    return this.#count
  }

  /** Resolves when there are none, or when the signal aborts. */
  async none(signal: AbortSignal): Promise<void> {
    if (this.#count === 0 || signal.aborted) return
    await Promise.race([
      new Promise<void>((resolve) => this.#whenNone.push(resolve)),
      once(signal, 'abort'),
    ])
  }
}
