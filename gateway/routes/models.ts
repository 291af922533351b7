// GET /v1/models lists what clients may put in `model`; GET /v1/models/{id} also takes one version, `name@version`.

import { Type } from 'typebox'

import { ErrorBody } from '../dialects/openai/error.ts'
import { Model, modelBody, ModelList } from '../dialects/openai/model.ts'
import { mayAsk } from '../callers/caller.ts'
import { findRoute } from '../routing/find-route.ts'
import { headerText } from '../answering/target-headers.ts'
import type { App } from '../request.ts'
import type { Caller } from '../callers/caller.ts'
import type { Routes } from '../routing/route.ts'

export function modelRoutes(app: App, { routes }: { routes: Routes }) {
  app.get(
    '/v1/models',
    {
      schema: {
        operationId: 'listModels',
        summary: 'List the models',
        tags: ['models'],
        response: { 200: ModelList, default: ErrorBody },
      },
    },
    async ({ caller }) => {
      const all = await routes.list()
      const data = all.filter(({ model }) => isFor(caller, model))
      return { object: 'list' as const, data: data.map((route) => modelBody(route.model, route)) }
    },
  )

  app.get(
    '/v1/models/:model',
    {
      schema: {
        operationId: 'retrieveModel',
        summary: 'Tell of one model, or one version of it',
        tags: ['models'],
        params: Type.Object({ model: Type.String() }),
        response: { 200: Model, default: ErrorBody },
      },
    },
    async (request, reply) => {
      const { model } = request.params
      const route = await findRoute(routes, model, (name) => isFor(request.caller, name))
      const [target] = route.targets
      // Where several may answer, only the answer knows who did.
      if (target && route.targets.length === 1)
        reply.header('x-headrace-version', headerText(target.version))
      return modelBody(model, route)
    },
  )
}

function isFor(caller: Caller | null, model: string): boolean {
  return caller !== null && mayAsk(caller, model)
}
