// Versions that upstreams answer, as requests find them: what was read is believed while it is read again.

import assert from 'node:assert/strict'
import test from 'node:test'

import { catalogVersions } from '../../../gateway/catalog/version-source.ts'
import { startCatalog } from '../../support/catalog.ts'
import { usePostgres } from '../../support/postgres.ts'
import type { Pool } from '../../../gateway/db/pool.ts'

const postgres = usePostgres()

test('while PostgreSQL does not answer, requests go on with what is known, and one of them asks', async (t) => {
  const { ask, pool, store } = await startCatalog(t, postgres)
  await ask('POST', '/admin/catalog/models', { name: 'support' })
  await ask('POST', '/admin/catalog/models/support/versions', { upstream: 'openai', asks: 'gpt' })
  let isAway = false
  let queries = 0
  let last: Promise<unknown> = Promise.resolve()
  const release = Promise.withResolvers<void>()
  const slow = {
    query: async (text: string, values: unknown[]) => {
      queries++
      if (isAway) await release.promise
      last = pool.query(text, values)
      return last
    },
  } as unknown as Pool
  const folders = {
    find: () => Promise.resolve(null),
    listModels: () => Promise.resolve([]),
    newestOf: () => Promise.resolve(null),
  }
  const source = catalogVersions(slow, store, folders)
  const asked = async () => {
    const found = await source.find('support@1')
    return found && 'asks' in found ? found.asks : null
  }
  assert.equal(await asked(), 'gpt')
  isAway = true
  let now = performance.now()
  t.mock.method(performance, 'now', () => now)
  now += 60_000
  for (let request = 0; request < 100; request++) assert.equal(await asked(), 'gpt')
  assert.equal(queries, 2)
  now += 60_000
  assert.equal(await asked(), 'gpt')
  assert.equal(queries, 2, 'the one that is under way is waited for')
  release.resolve()
  isAway = false
  await new Promise(setImmediate)
  await last
  await new Promise(setImmediate)
  now += 60_000
  await asked()
  assert.equal(queries, 3, 'it is read again')
})
