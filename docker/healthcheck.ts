// Asks the process of this container whether it is alive; exits with 0 where it says so.
//
//   node docker/healthcheck.ts gateway | runtime | log-writer [path]
//
// The address is the one that the container's own settings make it listen at. A path other than /healthz may be named:
// /readyz is whether it serves.
//
// It runs every few seconds, so it stands alone: reading the schema of all settings takes three times as long as this. A test
// holds the defaults against it.

import { request } from 'node:http'
import type { RequestOptions } from 'node:http'

const PATIENCE_MS = 4_000

const ADDRESSES: Record<string, (env: NodeJS.ProcessEnv) => string> = {
  gateway: (env) => {
    const host = env['HEADRACE_HOST'] || '127.0.0.1'
    return `http://${host.includes(':') ? `[${host}]` : host}:${env['HEADRACE_PORT'] || '8080'}`
  },
  runtime: (env) => env['HEADRACE_RUNTIME_LISTEN'] || 'http://127.0.0.1:8090',
  'log-writer': (env) => env['HEADRACE_LOG_WRITER_LISTEN'] || 'http://127.0.0.1:8091',
}

const [role = 'gateway', path = '/healthz'] = process.argv.slice(2)
const addressOf = ADDRESSES[role]
if (addressOf) ask(connectionTo(addressOf(process.env).trim()))
else fail(`'${role}' is no process; allowed is one of ${Object.keys(ADDRESSES).join(', ')}.`)

function connectionTo(address: string): RequestOptions {
  if (address.startsWith('unix:')) return { socketPath: address.slice('unix:'.length) }
  const { hostname, port } = new URL(address)
  const isEvery = ['0.0.0.0', '[::]'].includes(hostname)
  return { host: isEvery ? '127.0.0.1' : hostname.replace(/^\[(.*)\]$/, '$1'), port: port || 80 }
}

function ask(connection: RequestOptions): void {
  const asked = request({ ...connection, path, timeout: PATIENCE_MS }, (response) => {
    response.resume()
    if (response.statusCode !== 200) fail(`${role} answers ${path} with ${response.statusCode}.`)
  })
  asked.on('timeout', () => asked.destroy(new Error(`no answer within ${PATIENCE_MS} ms`)))
  asked.on('error', (error) => fail(`${role} can't be asked: ${error.message}.`))
  asked.end()
}

function fail(reason: string): void {
  process.stderr.write(`${reason}\n`)
  process.exitCode = 1
}
