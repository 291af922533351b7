// GET /v1/models lists what clients may put in `model`; GET /v1/models/{id} also takes one version, `name@version`.

import { Type } from 'typebox'

import { ErrorBody } from '../dialects/openai/error.ts'
import { Model, modelBody, ModelList } from '../dialects/openai/model.ts'
import { findVersion } from '../versions.ts'
import type { App } from '../request.ts'
import type { Versions } from '../versions.ts'

export function modelRoutes(app: App, { versions }: { versions: Versions }) {
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
    async () => {
      const names = await versions.listModels()
      const live = await Promise.all(names.map((name) => versions.resolve(name)))
      const data = live.filter((version) => version !== null)
      return {
        object: 'list' as const,
        data: data.map((version) => modelBody(version.manifest.model, version)),
      }
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
      const version = await findVersion(versions, model)
      reply.header('x-headrace-version', version.id)
      return modelBody(model, version)
    },
  )
}
