// The audit log: every change with who, what, before and after; nothing else, and nothing secret.

import assert from 'node:assert/strict'
import test from 'node:test'

import { revokeKey } from '../../../gateway/administration/keys.ts'
import { listChanges, recordChange } from '../../../gateway/db/audit.ts'
import { inTransaction } from '../../../gateway/db/transaction.ts'
import { errorOf, rowsOf, startAdmin } from '../../support/admin.ts'
import { usePostgres } from '../../support/postgres.ts'

const postgres = usePostgres()

test('every change is told with who made it, what was before and what after', async (t) => {
  const { ask, makeKey, pool } = await startAdmin(t, postgres)
  const { key: admin, id: adminId } = await makeKey({ name: 'alice', role: 'admin' })
  await ask('POST', '/admin/projects', { name: 'search' }, admin)
  const made = await ask('POST', '/admin/keys', { name: 'bot' }, admin)
  const id = String(made.body['id'])
  await ask('PATCH', '/admin/keys/bot', { project: 'search' }, admin)
  await ask('POST', '/admin/keys/bot/rotate', {}, admin)
  await revokeKey(pool, { id: null, name: 'root', via: 'command_line' }, 'bot')
  await ask('DELETE', '/admin/projects/search', undefined, admin)

  const entries = rowsOf(await ask('GET', '/admin/audit')).toReversed()
  assert.deepEqual(
    entries.map(({ action }) => action),
    [
      'key.create',
      'project.create',
      'key.create',
      'key.update',
      'key.rotate',
      'key.revoke',
      'project.archive',
    ],
  )
  assert.deepEqual(entries[0]?.['actor'], { id: null, name: 'admin', via: 'api' })
  assert.deepEqual(entries[2]?.['actor'], { id: adminId, name: 'alice', via: 'api' })
  assert.deepEqual(entries[5]?.['actor'], { id: null, name: 'root', via: 'command_line' })
  assert.deepEqual(entries[2]?.['target'], { kind: 'key', id, name: 'bot' })
  assert.equal(entries[2]?.['before'], null)
  const { before, after } = entries[3] as Record<'before' | 'after', Record<string, unknown>>
  assert.equal(before['project'], null)
  assert.equal((after['project'] as { name: string }).name, 'search')
})

test('a change that is refused leaves no entry', async (t) => {
  const { ask, makeKey } = await startAdmin(t, postgres)
  await makeKey({ name: 'bot' })
  await ask('POST', '/admin/keys', { name: 'bot' })
  await ask('PATCH', '/admin/keys/bot', { project: 'none such' })
  await ask('DELETE', '/admin/projects/none')
  assert.equal(rowsOf(await ask('GET', '/admin/audit')).length, 1)
})

test('a change whose entry can not be written is not made', async (t) => {
  const { ask, makeKey, pool } = await startAdmin(t, postgres)
  await makeKey({ name: 'bot' })
  await pool.query('ALTER TABLE audit_log ADD CHECK (action <> $$key.update$$)')
  assert.equal((await ask('PATCH', '/admin/keys/bot', { role: 'admin' })).status, 500)
  assert.equal((await ask('GET', '/admin/keys/bot')).body['role'], 'caller')
})

test('entries are filtered, and go page by page', async (t) => {
  const { ask, makeKey } = await startAdmin(t, postgres)
  const { id } = await makeKey({ name: 'one' })
  await makeKey({ name: 'two' })
  await ask('POST', '/admin/projects', { name: 'one' })
  await ask('PATCH', '/admin/keys/one', { tags: { a: 'b' } })
  const actions = async (query: string) =>
    rowsOf(await ask('GET', `/admin/audit?${query}`)).map(({ action }) => action)
  assert.deepEqual(await actions('target=one'), ['key.update', 'project.create', 'key.create'])
  assert.deepEqual(await actions(`target=${id}`), ['key.update', 'key.create'])
  assert.deepEqual(await actions('kind=project'), ['project.create'])
  const unknown = errorOf(await ask('GET', '/admin/audit?kind=planet'))
  assert.match(unknown.message, /'kind' must be one of "key", "project", .*; got "planet"/)
  assert.deepEqual(await actions('action=key.create&actor=admin'), ['key.create', 'key.create'])
  assert.deepEqual(await actions('actor=nobody'), [])
  assert.deepEqual(await actions('until=2020-01-01T00:00:00Z'), [])
  assert.equal((await actions('since=2020-01-01T00:00:00Z')).length, 4)
  const first = await ask('GET', '/admin/audit?limit=3')
  assert.equal(first.body['has_more'], true)
  assert.deepEqual(await actions(`limit=3&after=${String(first.body['last_id'])}`), ['key.create'])
  assert.equal(errorOf(await ask('GET', '/admin/audit?since=yesterday')).param, 'since')
})

test('what was written is neither changed nor deleted', async (t) => {
  const { makeKey, pool } = await startAdmin(t, postgres)
  await makeKey({ name: 'bot' })
  for (const statement of [
    "UPDATE audit_log SET actor_name = 'nobody'",
    'DELETE FROM audit_log',
    'TRUNCATE audit_log',
  ]) {
    await assert.rejects(pool.query(statement), /neither changed nor deleted/, statement)
  }
})

test('other things are recorded the same way, in the transaction that changes them', async (t) => {
  const { pool } = await startAdmin(t, postgres)
  const actor = { id: null, name: 'root', via: 'command_line' as const }
  const change = {
    kind: 'upstream' as const,
    id: 'openai',
    name: 'openai',
    before: null,
    after: { url: 'x' },
  }
  await inTransaction(pool, (transaction) =>
    recordChange(transaction, actor, { ...change, action: 'upstream.create' }),
  )
  await assert.rejects(
    inTransaction(pool, async (transaction) => {
      await recordChange(transaction, actor, { ...change, action: 'upstream.update' })
      throw new Error('the change failed')
    }),
    /the change failed/,
  )
  const { rows } = await listChanges(pool, { kind: 'upstream' }, { after: null, limit: 10 })
  assert.deepEqual(
    rows.map(({ action, after }) => [action, after]),
    [['upstream.create', { url: 'x' }]],
  )
})
