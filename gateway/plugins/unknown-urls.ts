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

  app.setNotFoundHandler((request, reply) => {
    const path = request.url.split('?', 1)[0] ?? ''
    const segments = path.split('/')
    const match = [...known.values()].find((entry) => leadsTo(entry.segments, segments))
    const write = writerFor(path)
    const asked = `${request.method} ${path.slice(0, 200)}`
    if (!match || match.methods.has(request.method)) {
      return tell(new GatewayError('unknown_url', `Unknown URL: ${asked}.`), request, reply, write)
    }
    const allowed = [...match.methods].join(', ')
    reply.header('allow', allowed)
    const message = `${asked} is not allowed; this URL takes ${allowed}.`
    return tell(new GatewayError('method_not_allowed', message), request, reply, write)
  })
}

function leadsTo(pattern: string[], segments: string[]): boolean {
  return (
    pattern.length === segments.length &&
    pattern.every((part, index) =>
      part.startsWith(':') ? segments[index] !== '' : part === segments[index],
    )
  )
}
