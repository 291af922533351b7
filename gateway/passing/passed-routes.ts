// Which of OpenAI's addresses are passed on to an upstream as they are.
//
// Adding one: a line here; its model is found in the body, or it is shared and goes to the default upstream.

import type { BodyKind } from './body.ts'

export type PassedBody = Exclude<BodyKind, 'none'>

export interface PassedRoute {
  method: 'GET' | 'POST' | 'DELETE'
  path: string
  body: BodyKind
  /** OpenAI's own */
  operationId: string
  /** reads or spends from an account that callers share */
  isShared?: true
}

type Method = PassedRoute['method']

const json = (path: string, operationId: string): PassedRoute => ({
  method: 'POST',
  path,
  body: 'json',
  operationId,
})
const form = (path: string, operationId: string): PassedRoute => ({
  method: 'POST',
  path,
  body: 'form',
  operationId,
})
const shared = (
  method: Method,
  path: string,
  operationId: string,
  body: BodyKind = 'none',
): PassedRoute => ({ method, path, body, operationId, isShared: true })

export const PASSED_ROUTES: PassedRoute[] = [
  json('/images/generations', 'createImage'),
  form('/images/edits', 'createImageEdit'),
  form('/images/variations', 'createImageVariation'),
  json('/audio/speech', 'createSpeech'),
  form('/audio/transcriptions', 'createTranscription'),
  form('/audio/translations', 'createTranslation'),
  json('/moderations', 'createModeration'),
  shared('GET', '/files', 'listFiles'),
  shared('POST', '/files', 'createFile', 'upload'),
  shared('GET', '/files/:id', 'retrieveFile'),
  shared('DELETE', '/files/:id', 'deleteFile'),
  shared('GET', '/files/:id/content', 'downloadFile'),
  shared('POST', '/uploads', 'createUpload', 'json'),
  shared('POST', '/uploads/:id/parts', 'addUploadPart', 'upload'),
  shared('POST', '/uploads/:id/complete', 'completeUpload', 'json'),
  shared('POST', '/uploads/:id/cancel', 'cancelUpload'),
  shared('GET', '/batches', 'listBatches'),
  shared('POST', '/batches', 'createBatch', 'json'),
  shared('GET', '/batches/:id', 'retrieveBatch'),
  shared('POST', '/batches/:id/cancel', 'cancelBatch'),
]
