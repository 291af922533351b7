// Takes each request of its routes in hand until its socket is done with it, or refuses it at once.
//
// After authentication, so that strangers can't fill the places, and before the body is read.

import type { FastifyRequest } from 'fastify'

import type { Admission } from '../limits/admission.ts'
import type { App } from '../request.ts'

export function admitRequests(app: App, admission: Admission) {
  const arriving = new WeakMap<FastifyRequest, () => void>()

  app.addHook('onRequest', (request, reply, done) => {
    // A client that left while its key was looked up never closes again.
    if (reply.raw.destroyed) return done()
    try {
      reply.raw.once('close', admission.enter())
      if (request.caller) {
        const arrived = admission.awaitBody(request.caller.id ?? '')
        arriving.set(request, arrived)
        reply.raw.once('close', arrived)
      }
      done()
    } catch (error) {
      done(error as Error)
    }
  })

  app.addHook('preValidation', (request, _reply, done) => {
    arriving.get(request)?.()
    done()
  })
}
