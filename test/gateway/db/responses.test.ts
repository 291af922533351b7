import assert from 'node:assert/strict'
import { randomUUIDv7 } from 'node:crypto'
import test from 'node:test'
import type { TestContext } from 'node:test'

import {
  deleteExpiredResponses,
  findResponse,
  insertResponse,
  readChain,
} from '../../../gateway/db/responses.ts'
import { sweepExpired } from '../../../gateway/responses/sweep.ts'
import { responsesDatabase } from '../../support/kept-responses.ts'
import { recordLog } from '../../support/logger.ts'
import { usePostgres } from '../../support/postgres.ts'
import type { Queryable } from '../../../gateway/db/pool.ts'

const postgres = usePostgres()

const NOW = new Date('2026-03-01T10:00:00.000Z')
const later = (days: number) => new Date(NOW.getTime() + days * 86_400_000)

async function insert(db: Queryable, changes: { previousId?: string; expiresAt?: Date } = {}) {
  const id = randomUUIDv7()
  const renewal = { ids: [], before: NOW }
  await insertResponse(
    db,
    {
      id,
      owner: 'key:1',
      previousId: null,
      head: '{"id":"x"}',
      input: '["in"]',
      output: '["out"]',
      createdAt: NOW,
      expiresAt: later(30),
      ...changes,
    },
    renewal,
  )
  return id
}

async function chainOf(db: Queryable, length: number): Promise<string[]> {
  const ids = [await insert(db)]
  while (ids.length < length) ids.unshift(await insert(db, { previousId: ids[0]! }))
  return ids
}

const bounds = { maxLinks: 10, maxBytes: 1000 }

test('a chain is read newest first, up to its beginning', async (t) => {
  const db = await responsesDatabase(t, postgres)
  const ids = await chainOf(db, 3)
  const links = await readChain(db, ids[0]!, 'key:1', NOW, bounds)
  assert.deepEqual(
    links.map(({ id, input }) => [id, input]),
    ids.map((id) => [id, '["in"]']),
  )
  assert.deepEqual(await readChain(db, ids[0]!, 'key:2', NOW, bounds), [])
})

for (const [what, tight] of [
  ['links', { maxLinks: 2, maxBytes: 1000 }],
  ['bytes', { maxLinks: 10, maxBytes: 30 }],
] as const) {
  test(`a chain of too many ${what} ends in a link without texts`, async (t) => {
    const db = await responsesDatabase(t, postgres)
    const ids = await chainOf(db, 6)
    const links = await readChain(db, ids[0]!, 'key:1', NOW, tight)
    assert.deepEqual(
      links.map(({ input }) => input !== null),
      [true, true, false],
    )
  })
}

test('what has expired is not found, and is swept in small batches until nothing is left', async (t) => {
  const db = await responsesDatabase(t, postgres)
  const kept = await insert(db, { expiresAt: later(2) })
  for (let count = 0; count < 5; count++) await insert(db, { expiresAt: later(1) })
  assert.equal(await findResponse(db, kept, 'key:1', later(2)), null)

  const batches: number[] = []
  const { promise: swept, resolve } = Promise.withResolvers<void>()
  const stop = sweepExpired({
    deleteExpired: async (limit) => {
      if (batches.length === 0) {
        batches.push(await deleteExpiredResponses(db, later(1), 3))
        // As many as were asked for: there may be more.
        return limit
      }
      batches.push(await deleteExpiredResponses(db, later(1), 3))
      resolve()
      return batches.at(-1)!
    },
    logger: recordLog().logger,
    pauseMs: 1,
  })
  t.after(stop)
  await swept
  assert.deepEqual(batches, [3, 2])
  assert.ok(await findResponse(db, kept, 'key:1', later(1)))
})

test('a sweep that fails is told and tried again', async (t: TestContext) => {
  const { logger, messages } = recordLog()
  const { promise: again, resolve } = Promise.withResolvers<void>()
  let tries = 0
  const stop = sweepExpired({
    deleteExpired: () => {
      if (++tries === 2) resolve()
      return Promise.reject(new Error('connection refused'))
    },
    logger,
    intervalMs: 1,
  })
  t.after(stop)
  await again
  assert.ok(messages().includes('expired responses could not be deleted'))
})
