// The body of a request that is passed on: which model it names, and how it goes on with the upstream's name for it.
//
// Knows: JSON, forms, uploads. Does not know: routes, upstreams.

import type { Readable } from 'node:stream'

import type { FastifyRequest } from 'fastify'

import { findField, replaceField } from '../dialects/openai/form.ts'
import { GatewayError } from '../errors.ts'
import { Upload } from './upload.ts'
import type { PassedRequest } from '../backends/backend.ts'
import type { UploadOptions } from './upload.ts'

/** how a body comes, and with it where the model is named */
export type BodyKind = 'json' | 'form' | 'upload' | 'none'

export interface PassedBody {
  /** as the client named it */
  model: string | null
  /** @param asks the model's name at the upstream */
  bodyFor(asks: string | null): PassedRequest['body']
  /** null: all of it is here already */
  upload: Upload | null
}

/** @throws GatewayError for a body that is too large, or not of its kind */
export function readBody(
  { body, headers }: FastifyRequest,
  kind: BodyKind,
  options: Omit<UploadOptions, 'declaredBytes'>,
): PassedBody {
  switch (kind) {
    case 'none':
      return { model: null, bodyFor: () => null, upload: null }
    case 'upload': {
      if (body === undefined || body === null) {
        return { model: null, bodyFor: () => null, upload: null }
      }
      const length = headers['content-length']
      const declaredBytes = length === undefined ? null : Number(length)
      const upload = new Upload(body as Readable, { ...options, declaredBytes })
      return { model: null, bodyFor: () => upload.stream(), upload }
    }
    case 'json':
      return readJson(body)
    case 'form':
      return readForm(body, headers['content-type'] ?? '')
  }
}

function readJson(body: unknown): PassedBody {
  if (body === undefined || body === null) {
    return { model: null, bodyFor: () => null, upload: null }
  }
  const { model, ...others } = body as Record<string, unknown>
  const isNamed = typeof model === 'string' && model !== ''
  return {
    model: isNamed ? model : null,
    bodyFor: (asks) =>
      Buffer.from(JSON.stringify(asks === null ? body : { ...others, model: asks })),
    upload: null,
  }
}

function readForm(body: unknown, contentType: string): PassedBody {
  if (!Buffer.isBuffer(body)) {
    throw new GatewayError(
      'unsupported_media_type',
      'The request body must be a form, with the header content-type: multipart/form-data.',
    )
  }
  const field = findField(body, contentType, 'model')
  return {
    model: field?.value || null,
    bodyFor: (asks) =>
      field && asks !== null && asks !== field.value ? replaceField(body, field, asks) : body,
    upload: null,
  }
}
