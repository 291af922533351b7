// Addresses that lead nowhere, and methods that an address doesn't take.
//
// Fastify tells both as "not found". A client that sends GET where POST is meant is better served by the list of what
// is allowed; so the routes are noted as they are registered.

import { GatewayError } from '../errors.ts'
import { tell } from './errors.ts'
import type { ErrorWriter } from './errors.ts'
import type { App } from '../request.ts'

interface KnownUrl {
  segments: string[]
  methods: Set<string>
}

/**
 * Before the first route.
 *
 * @param writerFor the dialect in which whoever asks for that path reads errors
 */
export function tellUnknownUrls(app: App, writerFor: (path: string) => ErrorWriter) {
  const known = new Map<string, KnownUrl>()

  app.addHook('onRoute', ({ url, method }) => {
    const entry = known.get(url) ?? { segments: url.split('/'), methods: new Set() }
    for (const name of [method].flat()) entry.methods.add(name)
    known.set(url, entry)
  })

  const find = (path: string) => {
    const segments = path.split('/')
    return [...known.values()].find((entry) => leadsTo(entry.segments, segments))
  }

  app.setNotFoundHandler((request, reply) => {
    const path = request.url.split('?', 1)[0] ?? ''
    const match = find(path)
    const write = writerFor(path)
    const asked = `${request.method} ${path.slice(0, 200)}`
    if (!match || match.methods.has(request.method)) {
      const meant = variantsOf(path).find((variant) => find(variant))
      const hint = meant === undefined ? '' : ` Did you mean ${meant.slice(0, 200)}?`
      const error = new GatewayError('unknown_url', `Unknown URL: ${asked}.${hint}`)
      return tell(error, request, reply, write)
    }
    const allowed = [...match.methods].join(', ')
    reply.header('allow', allowed)
    const message = `${asked} is not allowed; this URL takes ${allowed}.`
    return tell(new GatewayError('method_not_allowed', message), request, reply, write)
  })
}

/** What a client with a wrong base URL asks for: with /v1 too few or too many, or with slashes. */
function variantsOf(path: string): string[] {
  const plain = path.replace(/\/{2,}/g, '/').replace(/(?<=.)\/$/, '')
  return [plain, `/v1${plain}`, plain.replace(/^\/v1(?=\/v1\/)/, '')]
}

function leadsTo(pattern: string[], segments: string[]): boolean {
  return (
    pattern.length === segments.length &&
    pattern.every((part, index) =>
      part.startsWith(':') ? segments[index] !== '' : part === segments[index],
    )
  )
}
