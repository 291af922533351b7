// Who may call: keys, the memory in front of their table, and what happens when the table is away.

import assert from 'node:assert/strict'
import { hash } from 'node:crypto'
import { test } from 'node:test'

import OpenAI from 'openai'

import { KeyCache } from '../../gateway/callers/key-cache.ts'
import { ADMIN } from '../../gateway/callers/caller.ts'
import type { Caller } from '../../gateway/callers/caller.ts'
import { ADMIN_KEY, CHAT, startGateway, TableOfKeys } from '../support/gateway.ts'

const KEY = 'hr_known'
const CALLER: Caller = { ...ADMIN, id: '1', name: 'known', role: 'caller' }

function startKeys() {
  const clock = { ms: 1_000_000 }
  const table = new TableOfKeys({ [KEY]: CALLER })
  const keys = new KeyCache({
    callers: table,
    adminKeyHash: hash('sha256', ADMIN_KEY, 'buffer'),
    graceMs: 3_600_000,
    now: () => clock.ms,
  })
  return { clock, table, keys }
}

test('a request without a key, or with a wrong one, is 401 and recorded as refused', async (t) => {
  const { url, post, client, log, runtime } = await startGateway(t)
  const json = { 'content-type': 'application/json' }
  const without = await post('/v1/chat/completions', CHAT, { headers: json })
  assert.equal(without.status, 401)
  assert.equal(without.headers.get('www-authenticate'), 'Bearer')
  assert.match(await without.text(), /didn't provide an API key/)

  for (const apiKey of ['hr_wrong', 'sk-other']) {
    await assert.rejects(client.withOptions({ apiKey }).chat.completions.create(CHAT), (error) => {
      assert.ok(error instanceof OpenAI.AuthenticationError)
      assert.equal(error.code, 'invalid_api_key')
      assert.doesNotMatch(error.message, /hr_wrong|sk-other/)
      return true
    })
  }
  assert.equal((await fetch(`${url}/v1/models`)).status, 401)
  const records = await log.first(3)
  assert.ok(records.every(({ outcome, status }) => outcome === 'refused' && status === 401))
  assert.equal(runtime.requests.length, 0)
})

test('a key that is asked for often is looked up once', async () => {
  const { keys, table } = startKeys()
  const found = await Promise.all(Array.from({ length: 50 }, () => keys.identify(KEY)))
  assert.ok(found.every((caller) => caller === CALLER))
  await keys.identify(KEY)
  assert.equal(table.lookups, 1)
})

test('a revoked key is refused within five seconds', async () => {
  const { clock, keys, table } = startKeys()
  await keys.identify(KEY)
  table.revoke(KEY)
  clock.ms += 4_999
  assert.equal(await keys.identify(KEY), CALLER)
  clock.ms += 1
  assert.equal(await keys.identify(KEY), null)
})

test('a key that was wrong and is created works within five seconds', async () => {
  const { clock, keys, table } = startKeys()
  assert.equal(await keys.identify('hr_new'), null)
  table.rows.set(hash('sha256', 'hr_new', 'hex'), CALLER)
  clock.ms += 5_000
  assert.equal(await keys.identify('hr_new'), CALLER)
})

test('while the table is away known keys go on for an hour, and the rest is 503, not 401', async () => {
  const { clock, keys, table } = startKeys()
  await keys.identify(KEY)
  table.isAway = true
  clock.ms += 59 * 60_000
  assert.equal(await keys.identify(KEY), CALLER)
  await assert.rejects(keys.identify('hr_unseen'), { code: 'key_check_unavailable' })

  // The table is left alone for a second: no request waits for its time-out twice.
  const { lookups } = table
  assert.equal(await keys.identify(KEY), CALLER)
  assert.equal(table.lookups, lookups)

  clock.ms += 2 * 60_000
  await assert.rejects(keys.identify(KEY), { code: 'key_check_unavailable' })
  table.isAway = false
  assert.equal(await keys.identify(KEY), CALLER)
})

test('a known key does not wait for a table that hangs, once that is known', async () => {
  const { clock, keys, table } = startKeys()
  await keys.identify(KEY)
  table.isAway = true
  clock.ms += 5_000
  await keys.identify(KEY)
  const back = Promise.withResolvers<void>()
  table.findByKeyHash = async () => {
    table.lookups++
    await back.promise
    return null
  }
  const { lookups } = table
  clock.ms += 1_000
  assert.equal(await keys.identify(KEY), CALLER)
  assert.equal(await keys.identify(KEY), CALLER)
  assert.equal(table.lookups, lookups + 1)
  back.resolve()
  await new Promise((resolve) => setImmediate(resolve))
  assert.equal(await keys.identify(KEY), null)
})

test('the grace of known keys is as long as the settings say', async (t) => {
  const clock = { ms: 1_000_000 }
  const settings = { authGraceMs: 10_000 }
  const { client, keys } = await startGateway(t, { settings, deps: { now: () => clock.ms } })
  await client.models.list()
  keys.isAway = true
  clock.ms += 9_000
  await client.models.list()
  clock.ms += 1_001
  await assert.rejects(client.models.list(), { status: 503, code: 'key_check_unavailable' })
})

test('a key expires on time, remembered or not, and says so', async (t) => {
  const clock = { ms: 1_000_000 }
  const { client, keys } = await startGateway(t, { deps: { now: () => clock.ms } })
  const expiresAt = new Date(1_002_000)
  keys.rows.set(hash('sha256', 'hr_short', 'hex'), { ...CALLER, expiresAt })
  const short = client.withOptions({ apiKey: 'hr_short' })
  await short.models.list()
  clock.ms += 2_000
  const expired = { status: 401, code: 'expired_api_key', message: /1970-01-01T00:16:42.000Z/ }
  await assert.rejects(short.models.list(), expired)
  keys.isAway = true
  clock.ms += 5_000
  await assert.rejects(short.models.list(), expired)
})

test('a key may come as Anthropic sends it', async (t) => {
  const { url } = await startGateway(t)
  const list = (key: string) => fetch(`${url}/v1/models`, { headers: { 'x-api-key': key } })
  assert.equal((await list(ADMIN_KEY)).status, 200)
  assert.equal((await list('hr_wrong')).status, 401)
})

test('a table that is away makes a new key 503 over HTTP, and the admin key works', async (t) => {
  const { client, keys } = await startGateway(t)
  keys.isAway = true
  await assert.rejects(client.chat.completions.create(CHAT), {
    status: 503,
    code: 'key_check_unavailable',
  })
  await client.withOptions({ apiKey: ADMIN_KEY }).chat.completions.create(CHAT)
})

test('ten thousand wrong keys at once do not slow a known one', async () => {
  const { clock, keys, table } = startKeys()
  await keys.identify(KEY)
  const burst = Array.from({ length: 10_000 }, (_, index) =>
    keys.identify(`hr_wrong${index}`).catch((error: unknown) => error),
  )
  // The known key is due for a look-up of its own, and does not stand in line for it.
  clock.ms += 5_000
  const before = table.lookups
  assert.equal(await keys.identify(KEY), CALLER)
  assert.ok(table.lookups - before <= 16, `${table.lookups - before} look-ups came first`)

  const results = await Promise.all(burst)
  // None of them got in; beyond a bounded line they were told to come back.
  assert.ok(results.every((result) => result === null || result instanceof Error))
  assert.equal(results.filter((result) => result === null).length, 1_004)
  assert.equal(await keys.identify('hr_wrong0'), null)
})
