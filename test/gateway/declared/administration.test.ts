// Upstreams and models that are declared by the admin API, on a real PostgreSQL.

import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import type { TestContext } from 'node:test'

import { migrate } from '../../../gateway/db/migrate.ts'
import { openDeclared } from '../../../gateway/declared/open.ts'
import { Keyring } from '../../../gateway/secrets.ts'
import { makeFolder } from '../../support/folder.ts'
import { ADMIN_KEY, CHAT, KEY, startGateway } from '../../support/gateway.ts'
import { defer } from '../../support/lasting.ts'
import { recordLog } from '../../support/logger.ts'
import { answerChat } from '../../support/openai-wire.ts'
import { usePostgres } from '../../support/postgres.ts'
import { ScriptedUpstream } from '../../support/scripted-upstream.ts'
import { until } from '../../support/until.ts'
import type { Pool } from '../../../gateway/db/pool.ts'
import type { Routes } from '../../../gateway/routing/route.ts'

const postgres = usePostgres()
const SECRET = 'sk-planted-secret-of-a-test-wxyz'
const SECRET_KEY = randomBytes(32)
const NEAR = { targets: [{ upstream: 'near', model: 'llama-3' }] }

const emptyLibrary: Routes = { find: () => Promise.resolve(null), list: () => Promise.resolve([]) }

interface StartOptions {
  keys?: Buffer[]
  /** text of headrace.yaml */
  yaml?: string
}

async function openTables(t: TestContext): Promise<Pool> {
  const pool = await postgres.pool(t)
  await migrate(pool)
  return pool
}

/** One replica on these tables. */
async function startReplica(t: TestContext, pool: Pool, { keys, yaml }: StartOptions = {}) {
  const file = join(await makeFolder(t), 'headrace.yaml')
  await writeFile(file, yaml ?? '')
  const { logger, lines } = recordLog()
  const keyring = new Keyring(keys ?? [SECRET_KEY])
  const declared = await openDeclared({
    file,
    env: {},
    library: emptyLibrary,
    pool,
    keyring,
    logger,
  })
  const gateway = await startGateway(t, { deps: { routes: declared.routes, declared, pool } })
  defer(t, () => declared.close())
  const admin = async (method: string, path: string, body?: unknown, key = ADMIN_KEY) => {
    const response = await fetch(`${gateway.url}/admin${path}`, {
      method,
      headers: {
        authorization: `Bearer ${key}`,
        ...(body !== undefined && { 'content-type': 'application/json' }),
      },
      ...(body !== undefined && { body: JSON.stringify(body) }),
    })
    const text = await response.text()
    return { status: response.status, text, json: text === '' ? null : JSON.parse(text) }
  }
  const ask = (model: string) => gateway.client.chat.completions.create({ ...CHAT, model })
  return { ...gateway, declared, admin, ask, lines }
}

async function start(t: TestContext, options: StartOptions = {}) {
  const pool = await openTables(t)
  const upstream = await ScriptedUpstream.start(t)
  upstream.script = answerChat(['Hello'])
  const near = { api: 'compatible', base_url: `${upstream.url}/v1`, key: SECRET }
  return { ...(await startReplica(t, pool, options)), pool, upstream, near }
}

test('a model of a declared upstream answers at once, and until it is deleted', async (t) => {
  const { admin, ask, upstream, near } = await start(t)
  assert.equal((await admin('PUT', '/upstreams/near', near)).status, 200)
  assert.equal((await admin('PUT', '/models/chat', NEAR)).status, 200)
  assert.equal((await ask('chat')).choices[0]?.message.content, 'Hello')
  assert.equal(upstream.only.headers['authorization'], `Bearer ${SECRET}`)

  const inUse = await admin('DELETE', '/upstreams/near')
  assert.deepEqual([inUse.status, inUse.json.error.code], [409, 'upstream_in_use'])
  assert.equal((await admin('DELETE', '/models/chat')).status, 204)
  await assert.rejects(ask('chat'), /does not exist/)
  assert.equal((await admin('DELETE', '/upstreams/near')).status, 204)
  assert.equal((await admin('GET', '/upstreams/near')).json.error.code, 'upstream_not_found')
})

test('a key goes in and never comes out: not in answers, rows, the audit log, or errors', async (t) => {
  const { admin, pool, near, lines } = await start(t)
  const seen = [
    await admin('PUT', '/upstreams/near', { ...near, headers: { 'x-more': `${SECRET}-2` } }),
    await admin('GET', '/upstreams/near'),
    await admin('GET', '/upstreams'),
    await admin('GET', '/audit'),
    await admin('GET', '/config'),
    await admin('PUT', '/upstreams/near', { ...near, key: [SECRET] }),
    await admin('PUT', '/upstreams/near', {
      ...near,
      kay: SECRET,
      base_url: `http://a:${SECRET}@b`,
    }),
    await admin('PUT', '/upstreams/near', { ...near, key: `${SECRET}\n` }),
  ].map(({ text }) => text)
  assert.match(seen[1] ?? '', /"key":"…wxyz","headers":\{"x-more":"…yz-2"\}/)
  const { rows } = await pool.query<{ row: string }>(
    'SELECT to_jsonb(u)::text AS row FROM upstreams u UNION ALL SELECT to_jsonb(a)::text FROM audit_log a',
  )
  assert.equal(rows.length, 2)
  const everything = [...seen, ...rows.map(({ row }) => row), JSON.stringify(lines)].join('\n')
  assert.doesNotMatch(everything, /planted/)
})

test('a key that is not sent again stays, is removed by null, and is not taken to a new address', async (t) => {
  const { admin, ask, upstream, near } = await start(t)
  await admin('PUT', '/upstreams/near', near)
  await admin('PUT', '/models/chat', NEAR)
  const { key: _key, ...keyless } = near

  const kept = await admin('PUT', '/upstreams/near', { ...keyless, connect_ms: 1_000 })
  assert.equal(kept.json.key, '…wxyz')
  await ask('chat')
  assert.equal(upstream.requests.at(-1)?.headers['authorization'], `Bearer ${SECRET}`)

  const moved = await admin('PUT', '/upstreams/near', {
    ...keyless,
    base_url: 'http://127.0.0.1:1',
  })
  assert.deepEqual([moved.status, moved.json.error.code], [400, 'invalid_declaration'])
  assert.equal(moved.json.error.param, 'key')

  assert.equal((await admin('PUT', '/upstreams/near', { ...near, key: null })).json.key, undefined)
  await ask('chat')
  assert.equal(upstream.requests.at(-1)?.headers['authorization'], undefined)
})

test('without HEADRACE_SECRET_KEY a secret is refused, and an upstream that needs none is not', async (t) => {
  const { admin, near } = await start(t, { keys: [] })
  const refused = await admin('PUT', '/upstreams/near', near)
  assert.deepEqual([refused.status, refused.json.error.code], [409, 'secret_key_missing'])
  assert.match(refused.json.error.message, /HEADRACE_SECRET_KEY/)
  assert.equal((await admin('GET', '/upstreams')).json.data.length, 0)
  assert.equal((await admin('PUT', '/upstreams/near', { ...near, key: null })).status, 200)
})

test('a rotated key opens what the old one sealed; a lost one is named and takes nothing else down', async (t) => {
  const { admin, pool, near } = await start(t)
  await admin('PUT', '/upstreams/near', near)
  await admin('PUT', '/upstreams/open', { ...near, key: null })
  await admin('PUT', '/models/chat', NEAR)
  await admin('PUT', '/models/other', { targets: [{ upstream: 'open', model: 'a' }] })

  const rotated = await startReplica(t, pool, { keys: [randomBytes(32), SECRET_KEY] })
  assert.equal((await rotated.ask('chat')).choices[0]?.message.content, 'Hello')

  const lost = await startReplica(t, pool, { keys: [randomBytes(32)] })
  const { stored } = (await lost.admin('GET', '/config')).json
  assert.match(stored.problems.join(), /upstreams\.near: .*HEADRACE_SECRET_KEY does not have/)
  assert.equal((await lost.ask('other')).choices[0]?.message.content, 'Hello')
  await assert.rejects(lost.ask('chat'))
  assert.match(await lost.metrics.render(), /headrace_requests_in_flight/)
})

test('everything that is wrong is said at once', async (t) => {
  const { admin } = await start(t)
  const { status, json } = await admin('PUT', '/models/chat', {
    targets: [{ upstream: 'far', model: 'a' }, { upstream: 'far' }],
    retries: 3,
  })
  assert.equal(status, 400)
  assert.equal(json.error.code, 'invalid_declaration')
  assert.match(
    json.error.message,
    /targets\[0\]\.upstream: .*'far'.* targets\[1\]: 'model' is missing/,
  )
  const odd = await admin('PUT', '/upstreams/a', { api: 'opnai', key: '${HOME}', bas_url: 'x' })
  assert.match(odd.json.error.message, /did you mean 'base_url'\?.* api: must be one of openai/)
  assert.match(odd.json.error.message, /only in headrace.yaml/)
  assert.equal((await admin('PUT', '/upstreams/local', { api: 'openai' })).status, 400)
  assert.equal((await admin('PUT', '/models/a@1', { targets: [{ version: 'a' }] })).status, 400)
})

test('the file wins where both have a name, and says so', async (t) => {
  const yaml = 'upstreams:\n  near: { api: compatible, base_url: "http://127.0.0.1:1" }\n'
  const { admin, near } = await start(t, { yaml })
  const { json } = await admin('PUT', '/upstreams/near', near)
  assert.deepEqual([json.source, json.in_force], ['api', false])
  const { json: inForce } = await admin('GET', '/upstreams/near')
  assert.deepEqual([inForce.source, inForce.base_url], ['file', 'http://127.0.0.1:1'])
  assert.equal((await admin('DELETE', '/upstreams/near')).status, 204)
  assert.equal((await admin('DELETE', '/upstreams/near')).json.error.code, 'declared_in_file')
})

test('only admins may see or change any of it', async (t) => {
  const { admin, near } = await start(t)
  for (const path of ['/upstreams', '/upstreams/near', '/models', '/models/chat', '/config']) {
    assert.equal((await admin('GET', path, undefined, KEY)).status, 403, path)
  }
  assert.equal((await admin('PUT', '/upstreams/near', near, KEY)).status, 403)
  assert.equal((await admin('DELETE', '/upstreams/near', undefined, KEY)).status, 403)
  assert.equal((await admin('GET', '/upstreams', undefined, 'nobody')).status, 401)
})

test('every replica follows within two seconds, by call or by looking', async (t) => {
  const first = await start(t)
  const second = await startReplica(t, first.pool)
  await first.admin('PUT', '/upstreams/near', first.near)
  await first.admin('PUT', '/models/chat', NEAR)
  const isThere = async () => (await second.declared.routes.find('chat')) !== null
  await until(isThere, 2_000)
  assert.equal((await second.ask('chat')).choices[0]?.message.content, 'Hello')

  // As a pooler in between would: nobody is called.
  await first.pool.query(`DELETE FROM declared_models`)
  await first.pool.query('UPDATE declared_revision SET revision = revision + 1')
  await until(async () => !(await isThere()), 2_000)
})

test('while the tables are away what was known goes on, changes are refused, and it comes back', async (t) => {
  const { admin, ask, declared, pool, near } = await start(t)
  await admin('PUT', '/upstreams/near', near)
  await admin('PUT', '/models/chat', NEAR)
  await pool.query('ALTER TABLE declared_revision RENAME TO gone')
  await until(() => !declared.storedState().isReachable, 2_000)
  assert.equal((await ask('chat')).choices[0]?.message.content, 'Hello')
  const refused = await admin('PUT', '/models/chat', NEAR)
  assert.deepEqual([refused.status, refused.json.error.code], [503, 'declarations_unavailable'])
  await pool.query('ALTER TABLE gone RENAME TO declared_revision')
  await until(() => declared.storedState().isReachable, 2_000)
  assert.equal((await admin('PUT', '/models/chat', NEAR)).status, 200)
})
