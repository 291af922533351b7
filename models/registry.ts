// The models that go by a name of their own, and where each can be had: registry.json.
//
// A model has several sources, tried in order, because no one of them can be reached from everywhere: the hub, then a
// package that a company's mirror is likely to have. Each is pinned by revision and by sha256.
//
// Knows: the registry's format. Does not know: how sources are fetched (sources.ts), what is imported already (store.ts).

import { readFile } from 'node:fs/promises'
import { join } from 'node:path'

import { Type } from 'typebox'
import { Check } from 'typebox/value'

import { MODEL_NAME } from './manifest.ts'
import { schemaProblems } from './schema-problems.ts'
import { parseSource } from './sources.ts'
import type { Source } from './sources.ts'

export interface RegisteredSource {
  source: Source
  /** name of a fetched file → the sha256 that it must have */
  pins: Record<string, string>
}

export interface RegisteredModel {
  name: string
  /** one line for a listing */
  description: string
  /** SPDX id */
  licence: string
  /** tried in this order */
  sources: RegisteredSource[]
}

export interface Registry {
  models: Map<string, RegisteredModel>
  /** the model that stands in where none can be fetched */
  bundled: RegisteredModel
}

export class RegistryError extends Error {
  override name = 'RegistryError'
}

const RegistrySchema = Type.Object(
  {
    models: Type.Record(
      Type.String({ pattern: MODEL_NAME.source }),
      Type.Object(
        {
          description: Type.String({ minLength: 1 }),
          licence: Type.String({ minLength: 1 }),
          sources: Type.Array(
            Type.Object(
              {
                source: Type.String({ minLength: 1 }),
                sha256: Type.Optional(
                  Type.Record(Type.String(), Type.String({ pattern: '^[0-9a-f]{64}$' })),
                ),
              },
              { additionalProperties: false },
            ),
            { minItems: 1 },
          ),
        },
        { additionalProperties: false },
      ),
      { additionalProperties: false },
    ),
    bundled: Type.String({ pattern: MODEL_NAME.source }),
  },
  { additionalProperties: false },
)

/** The registry that comes with Headrace. @throws RegistryError */
export async function readRegistry(): Promise<Registry> {
  const file = join(import.meta.dirname, 'registry.json')
  return parseRegistry(JSON.parse(await readFile(file, 'utf8')), file)
}

/**
 * @param file named in the error
 * @throws RegistryError naming every field that is wrong; SourceError for a source that can't be read
 */
export function parseRegistry(json: unknown, file: string): Registry {
  if (!Check(RegistrySchema, json)) {
    throw new RegistryError(`${file}: ${schemaProblems(RegistrySchema, json).join('; ')}`)
  }
  const models = new Map(
    Object.entries(json.models).map(([name, { description, licence, sources }]) => [
      name,
      {
        name,
        description,
        licence,
        sources: sources.map(({ source, sha256 }) => ({
          source: parseSource(source),
          pins: sha256 ?? {},
        })),
      },
    ]),
  )
  const bundled = models.get(json.bundled)
  if (!bundled) {
    throw new RegistryError(
      `${file}: bundled is '${json.bundled}'; it must be one of ${[...models.keys()].join(', ')}`,
    )
  }
  return { models, bundled }
}
