// Projects over the admin API, who may use it, and what developers may read.

import assert from 'node:assert/strict'
import test from 'node:test'

import { errorOf, rowsOf, startAdmin } from '../../support/admin.ts'
import { ADMIN_KEY, CHAT, startGateway } from '../../support/gateway.ts'
import { usePostgres } from '../../support/postgres.ts'

const postgres = usePostgres()

test('the keys of an archived project are refused until it is restored', async (t) => {
  const { ask, makeKey, client } = await startAdmin(t, postgres)
  const project = await ask('POST', '/admin/projects', { name: 'search', limits: { daily_usd: 5 } })
  assert.equal(project.status, 201)
  const { key: apiKey } = await makeKey({ name: 'bot', project: 'search' })
  const chat = () => client.withOptions({ apiKey }).chat.completions.create(CHAT)
  await chat()

  await ask('DELETE', '/admin/projects/search')
  await assert.rejects(chat(), { status: 401, code: 'invalid_api_key' })
  assert.equal((await ask('GET', '/admin/projects/search')).status, 404)
  assert.equal(rowsOf(await ask('GET', '/admin/projects')).length, 0)
  assert.equal(rowsOf(await ask('GET', '/admin/projects?archived=true')).length, 1)
  const id = String(project.body['id'])
  const refused = errorOf(await ask('POST', '/admin/keys', { name: 'other', project: id }))
  assert.deepEqual([refused.status, refused.code], [409, 'project_archived'])

  const restored = await ask('PATCH', `/admin/projects/${id}`, { archived: false })
  assert.equal(restored.body['archived_at'], null)
  assert.deepEqual(restored.body['limits'], { daily_usd: 5 })
  await chat()
})

test('a project says how long its texts are kept, and may leave it to the server', async (t) => {
  const { ask } = await startAdmin(t, postgres)
  const made = await ask('POST', '/admin/projects', { name: 'search', bodies_retention_days: 7 })
  assert.equal(made.body['bodies_retention_days'], 7)
  await ask('PATCH', '/admin/projects/search', { name: 'find' })
  assert.equal((await ask('GET', '/admin/projects/find')).body['bodies_retention_days'], 7)
  const none = await ask('PATCH', '/admin/projects/find', { bodies_retention_days: null })
  assert.equal(none.body['bodies_retention_days'], null)
  for (const days of [0, 1.5, '7']) {
    const refused = errorOf(
      await ask('PATCH', '/admin/projects/find', { bodies_retention_days: days }),
    )
    assert.deepEqual([refused.status, refused.param], [400, 'bodies_retention_days'])
  }
})

test('a project that has the name of an archived one keeps it', async (t) => {
  const { ask } = await startAdmin(t, postgres)
  const first = await ask('POST', '/admin/projects', { name: 'search' })
  assert.equal(errorOf(await ask('POST', '/admin/projects', { name: 'search' })).code, 'name_taken')
  await ask('DELETE', '/admin/projects/search')
  await ask('POST', '/admin/projects', { name: 'search' })
  const path = `/admin/projects/${String(first.body['id'])}`
  assert.equal(errorOf(await ask('PATCH', path, { archived: false })).code, 'name_taken')
  assert.equal((await ask('PATCH', path, { archived: false, name: 'search-1' })).status, 200)
})

test('without a key the admin API is 401, and for another role 403', async (t) => {
  const { ask, makeKey, url } = await startAdmin(t, postgres)
  const { key: caller } = await makeKey({ name: 'caller' })
  const { key: developer } = await makeKey({ name: 'developer', role: 'developer' })
  const { key: admin } = await makeKey({ name: 'admin', role: 'admin' })
  assert.equal((await fetch(`${url}/admin/keys`)).status, 401)
  for (const [method, path] of [
    ['POST', '/admin/keys'],
    ['PATCH', '/admin/keys/caller'],
    ['POST', '/admin/keys/caller/rotate'],
    ['DELETE', '/admin/keys/caller'],
    ['POST', '/admin/projects'],
    ['PATCH', '/admin/projects/x'],
    ['DELETE', '/admin/projects/x'],
    ['GET', '/admin/audit'],
  ] as const) {
    const body = method === 'GET' || method === 'DELETE' ? undefined : { nonsense: 1 }
    for (const key of [caller, developer]) {
      // Refused before the body is looked at.
      const error = errorOf(await ask(method, path, body, key))
      assert.deepEqual([error.status, error.code], [403, 'insufficient_role'], `${method} ${path}`)
    }
  }
  assert.equal((await ask('GET', '/admin/keys', undefined, caller)).status, 403)
  assert.equal((await ask('GET', '/admin/audit', undefined, admin)).status, 200)
})

test('developers read the keys of their project and their own, and no others', async (t) => {
  const { ask, makeKey } = await startAdmin(t, postgres)
  await ask('POST', '/admin/projects', { name: 'search' })
  await ask('POST', '/admin/projects', { name: 'secret' })
  await makeKey({ name: 'hidden', project: 'secret' })
  await makeKey({ name: 'alone' })
  await makeKey({ name: 'colleague', project: 'search' })
  const { key } = await makeKey({ name: 'dev', role: 'developer', project: 'search' })
  const { key: free } = await makeKey({ name: 'free', role: 'developer' })

  const names = async (path: string, by: string) =>
    rowsOf(await ask('GET', path, undefined, by)).map(({ name }) => name)
  assert.deepEqual(await names('/admin/keys', key), ['dev', 'colleague'])
  assert.deepEqual(await names('/admin/keys', free), ['free'])
  assert.deepEqual(await names('/admin/projects', key), ['search'])
  assert.deepEqual(await names('/admin/projects', free), [])
  assert.equal((await ask('GET', '/admin/keys/colleague', undefined, key)).status, 200)
  assert.deepEqual(await names('/admin/keys?project=search', key), ['dev', 'colleague'])
  for (const path of [
    '/admin/keys/hidden',
    '/admin/keys/alone',
    '/admin/projects/secret',
    '/admin/keys?project=secret',
    '/admin/keys?project=none',
  ]) {
    assert.equal((await ask('GET', path, undefined, key)).status, 404, path)
  }
})

test('while PostgreSQL is away the admin API says so, and when to come back', async (t) => {
  const { url } = await startGateway(t)
  const headers = { authorization: `Bearer ${ADMIN_KEY}` }
  for (const path of ['/admin/keys', '/admin/projects', '/admin/audit']) {
    const response = await fetch(url + path, { headers })
    assert.equal(response.status, 503, path)
    assert.equal(response.headers.get('retry-after'), '1')
    assert.match(await response.text(), /"database_unavailable"/)
  }
})
