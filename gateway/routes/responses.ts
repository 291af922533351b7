// POST /v1/responses

import { answer } from '../answering/answer.ts'
import { responseAnswer } from '../dialects/openai-responses/answer.ts'
import { readInput } from '../dialects/openai-responses/input.ts'
import { responseKey } from '../dialects/openai-responses/item.ts'
import { askedBy, readSettings, ResponseRequest } from '../dialects/openai-responses/request.ts'
import { Response } from '../dialects/openai-responses/shapes.ts'
import { answerResponses } from '../dialects/openai/responses.ts'
import { ownerOf } from '../responses/kept-responses.ts'
import type { AnswerDeps } from '../answering/answer.ts'
import type { App } from '../request.ts'
import type { Privacy } from '../privacy/privacy.ts'
import type { Continued, KeptResponses } from '../responses/kept-responses.ts'

export interface ResponseDeps extends AnswerDeps {
  responses: KeptResponses
  /** whether texts may be kept */
  privacy: Pick<Privacy, 'isWhole'>
  /** milliseconds since 1970 */
  now: () => number
}

const NOTHING: Continued = { items: [], keys: [] }

export function responseRoutes(app: App, { responses, privacy, now, ...deps }: ResponseDeps) {
  app.post(
    '/v1/responses',
    {
      schema: {
        operationId: 'createResponse',
        summary: 'Answer a conversation, and keep it to be continued',
        tags: ['answers'],
        body: ResponseRequest,
        response: answerResponses(Response),
      },
    },
    async (request, reply) => {
      const { body, caller } = request
      if (!caller) throw new Error('A route that answers knows no caller. This is a bug.')
      const key = responseKey(request.id)
      const settings = readSettings(body)
      const given = readInput(body.input ?? [], key)
      const { previous_response_id: previous } = settings
      const continued = previous === null ? NOTHING : await responses.continue(previous, caller)
      const input = await responses.resolve(given, caller)
      const items = [...continued.items, ...input]
      const asked = askedBy(body, settings, items, continued.items.length)

      const kept = { key, owner: ownerOf(caller), input, continues: continued.keys }
      // Half of a conversation can't be continued: where its texts may not be kept as they are, none of them is.
      const isKept = settings.store && responses.isKeeping && privacy.isWhole(caller.bodies)
      const format = responseAnswer({
        settings,
        now,
        keep: isKept ? (head, output) => responses.keep({ ...kept, head, output }) : null,
      })
      return answer(request, reply, asked, format, deps)
    },
  )
}
