// /admin/scores: what evaluations found, given one by one or by the batch, and read.
//
// An exchange whose row is not there is taken for one that is on its way while it is young; an older one is not there.

import { Type } from 'typebox'

import { findKnownExchanges } from '../db/exchange-heads.ts'
import { timeOfId } from '../db/partitions.ts'
import { deleteScore, listScores, upsertScores } from '../db/scores.ts'
import { listBody, listOf, PAGE_QUERY, readPage } from '../dialects/admin/page.ts'
import {
  noExchange,
  readScore,
  readScoreFilter,
  readScores,
  SCORE_QUERY,
  ScoreBatch,
  ScoreBody,
  scoreBody,
  ScoreDraft,
  ScoresBody,
} from '../dialects/admin/score.ts'
import { ErrorBody } from '../dialects/openai/error.ts'
import { GatewayError } from '../errors.ts'
import { MAX_LATE_MS } from '../feedback/desk.ts'
import { readExchangeId } from '../feedback/exchange-id.ts'
import { callerOf, requireRole } from '../plugins/roles.ts'
import type { Caller } from '../callers/caller.ts'
import type { Pool } from '../db/pool.ts'
import type { NewScore } from '../db/scores.ts'
import type { Privacy } from '../privacy/privacy.ts'
import type { App } from '../request.ts'

const tags = ['scores']
const security = [{ key: [] }]
const exchangeParams = Type.Object({
  id: Type.String({ description: "The exchange's x-request-id, or the id of its answer." }),
})

interface AdminScoreDeps {
  pool: Pool
  privacy: Pick<Privacy, 'keptText'>
  now: () => number
}

export function adminScoreRoutes(app: App, { pool, privacy, now }: AdminScoreDeps) {
  const onRequest = requireRole('admin')

  const keep = async ({ bodies }: Caller, given: NewScore[]) => {
    const scores = given.map((score) => ({
      ...score,
      // As of feedback: it may repeat the answer, or what was asked.
      comment: score.comment === null ? null : privacy.keptText(score.comment, bodies),
    }))
    const known = await findKnownExchanges(
      pool,
      scores.map(({ exchangeId }) => exchangeId),
    )
    for (const { exchangeId } of scores) {
      const isLate = now() - timeOfId(exchangeId) > MAX_LATE_MS
      if (isLate && !known.has(exchangeId)) throw noExchange(exchangeId)
    }
    return (await upsertScores(pool, scores, new Date(now()))).map(scoreBody)
  }

  app.post(
    '/admin/scores',
    {
      onRequest,
      schema: {
        operationId: 'giveScores',
        summary: 'Score many exchanges, all or none; the same score again replaces the one before',
        tags,
        security,
        body: ScoreBatch,
        response: { 200: ScoresBody, default: ErrorBody },
      },
    },
    async (request) => {
      const data = await keep(callerOf(request), readScores(request.body, now()))
      return { object: 'list' as const, data }
    },
  )

  app.get(
    '/admin/scores',
    {
      onRequest,
      schema: {
        operationId: 'listScores',
        summary: 'List scores, newest first',
        tags,
        security,
        querystring: Type.Object(
          { ...PAGE_QUERY, ...SCORE_QUERY },
          { additionalProperties: false },
        ),
        response: { 200: listOf(ScoreBody), default: ErrorBody },
      },
    },
    async ({ query }) =>
      listBody(await listScores(pool, readScoreFilter(query, now()), readPage(query)), scoreBody),
  )

  app.delete(
    '/admin/scores/:id',
    {
      onRequest,
      schema: {
        operationId: 'deleteScore',
        summary: 'Delete a score',
        tags,
        security,
        params: Type.Object({ id: Type.String({ format: 'uuid', title: "a score's id" }) }),
        response: { 200: ScoreBody, default: ErrorBody },
      },
    },
    async ({ params: { id } }) => {
      const deleted = await deleteScore(pool, id)
      if (deleted) return scoreBody(deleted)
      throw new GatewayError('score_not_found', `There is no score '${id}'.`)
    },
  )

  app.post(
    '/admin/exchanges/:id/scores',
    {
      onRequest,
      schema: {
        operationId: 'scoreExchange',
        summary: 'Score an exchange; the same score again replaces the one before',
        tags,
        security,
        params: exchangeParams,
        body: ScoreDraft,
        response: { 200: ScoreBody, default: ErrorBody },
      },
    },
    async (request) => {
      const { body, params } = request
      const given = readScore(readExchangeId(params.id, now()), body)
      const [score] = await keep(callerOf(request), [given])
      if (!score) throw new Error('A score was kept and is not there. This is a bug.')
      return score
    },
  )

  app.get(
    '/admin/exchanges/:id/scores',
    {
      onRequest,
      schema: {
        operationId: 'listScoresOfExchange',
        summary: 'List the scores of an exchange, newest first',
        tags,
        security,
        params: exchangeParams,
        querystring: Type.Object(PAGE_QUERY, { additionalProperties: false }),
        response: { 200: listOf(ScoreBody), default: ErrorBody },
      },
    },
    async ({ params, query }) => {
      const exchangeId = readExchangeId(params.id, now())
      return listBody(await listScores(pool, { exchangeId }, readPage(query)), scoreBody)
    },
  )
}
