// Models and versions over the admin API: what may be said of them, their life and their end.

import assert from 'node:assert/strict'
import test from 'node:test'

import { publishVersion } from '../../models/scratch.ts'
import { errorOf, rowsOf } from '../../support/admin.ts'
import { startCatalog } from '../../support/catalog.ts'
import { usePostgres } from '../../support/postgres.ts'

const postgres = usePostgres()
const MODELS = '/admin/catalog/models'
const VERSIONS = `${MODELS}/guide/versions`

test('what a model is for is told in its own words, and changed by naming what changes', async (t) => {
  const { ask } = await startCatalog(t, postgres)
  const price = { input: 0.5, output: 1.5 }
  const said = {
    task: 'chat',
    owner: 'Ada',
    description: '**Answers**',
    tags: { team: 'a' },
    price,
  }
  const made = await ask('POST', MODELS, { name: 'guide', ...said, limits: { output_tokens: 500 } })
  assert.equal(made.status, 201)
  const path = `${MODELS}/guide`
  await ask('PATCH', path, {
    owner: null,
    tags: { stage: 'test' },
    limits: { context_tokens: 8_192 },
  })
  const { body } = await ask('GET', path)
  assert.deepEqual(
    [body['task'], body['owner'], body['description']],
    ['chat', null, '**Answers**'],
  )
  assert.deepEqual(body['tags'], { team: 'a', stage: 'test' })
  assert.deepEqual(body['limits'], { output_tokens: 500, context_tokens: 8_192 })
  assert.deepEqual(body['price'], price)

  assert.equal(errorOf(await ask('POST', MODELS, { name: 'guide' })).code, 'name_taken')
  assert.equal(errorOf(await ask('PATCH', `${MODELS}/none`, {})).code, 'model_not_in_catalog')
  const wrong: [object, string][] = [
    [{ name: 'Guide!' }, 'name'],
    [{ name: 'a', owner: 'two\nlines' }, 'owner'],
    [{ name: 'a', price: { input: -1, output: 1 } }, 'price.input'],
    [{ name: 'a', price: { input: 1 } }, 'price.output'],
    [{ name: 'a', limits: { output_tokens: 0.5 } }, 'limits.output_tokens'],
    [{ name: 'a', colour: 'red' }, 'colour'],
  ]
  for (const [draft, param] of wrong) {
    const refused = errorOf(await ask('POST', MODELS, draft))
    assert.deepEqual([refused.status, refused.param], [400, param], refused.message)
  }
})

test('a model that was added by mistake is deleted with its notes, one that had a version is remembered', async (t) => {
  const { ask } = await startCatalog(t, postgres)
  for (const name of ['guide', 'giude']) await ask('POST', MODELS, { name })
  const note = { kind: 'decision', title: 'Why', text: 'Because.' }
  assert.equal((await ask('POST', `${MODELS}/giude/notes`, note)).status, 201)
  const required = '/admin/models/giude/requirements'
  const requirements = [{ dataset: 'triage', metric: 'accuracy', min: 0.9 }]
  assert.equal((await ask('PUT', required, { requirements })).status, 200)
  const deleted = await ask('DELETE', `${MODELS}/giude`)
  assert.equal(deleted.body['id'], 'giude')
  assert.equal(errorOf(await ask('GET', `${MODELS}/giude`)).code, 'model_not_in_catalog')
  assert.equal(errorOf(await ask('DELETE', `${MODELS}/giude`)).code, 'model_not_in_catalog')
  assert.equal((await ask('POST', MODELS, { name: 'giude' })).status, 201, 'the name is free')
  assert.deepEqual((await ask('GET', required)).body['requirements'], [])

  await ask('POST', VERSIONS, { upstream: 'openai', asks: 'gpt' })
  await ask('DELETE', `${VERSIONS}/1`)
  assert.equal(errorOf(await ask('DELETE', `${MODELS}/guide`)).code, 'model_has_versions')
  const audited = rowsOf(await ask('GET', '/admin/audit?kind=catalog_model&target=giude'))
  assert.deepEqual(
    audited.map(({ action }) => action),
    ['catalog_model.create', 'catalog_model.delete', 'catalog_model.create'],
  )
})

test('what PostgreSQL has no room for is replaced, not refused', async (t) => {
  const { ask } = await startCatalog(t, postgres)
  await ask('POST', MODELS, { name: 'guide', description: 'a\0b' })
  assert.equal((await ask('GET', `${MODELS}/guide`)).body['description'], 'a\ufffdb')
  const hyperparameters = { note: 'x\0', list: ['\ud800', 1] }
  const draft = { upstream: 'openai', asks: 'gpt', hyperparameters }
  const { status, body } = await ask('POST', VERSIONS, draft)
  assert.equal(status, 201)
  assert.deepEqual(body['hyperparameters'], { note: 'x\ufffd', list: ['\ufffd', 1] })
})

test("upstreams' versions and folders are numbered together", async (t) => {
  const { ask, store, registrar } = await startCatalog(t, postgres)
  await publishVersion(store, 'guide')
  await registrar.sync()
  const training = { training_data: [{ name: 'tickets', size: 1200, split: 'train' }] }
  const facts = {
    base_model: 'gpt',
    hyperparameters: { epochs: 3 },
    change_note: 'More',
    ...training,
  }
  const draft = { upstream: 'openai', asks: 'gpt-5-2027', ...facts }
  const answers = await Promise.all([ask('POST', VERSIONS, draft), ask('POST', VERSIONS, draft)])
  const ids = answers.map(({ body }) => String(body['id']))
  assert.deepEqual(ids.sort(), ['guide@2', 'guide@3'])
  assert.equal((await publishVersion(store, 'guide')).id, 'guide@4')
  await registrar.sync()
  const page = await ask('GET', `${VERSIONS}?limit=3`)
  assert.deepEqual(
    rowsOf(page).map((row) => row['kind']),
    ['local', 'upstream', 'upstream'],
  )
  assert.equal(page.body['has_more'], true)
  const rest = await ask('GET', `${VERSIONS}?after=${String(page.body['last_id'])}`)
  assert.deepEqual(
    rowsOf(rest).map((row) => row['id']),
    ['guide@1'],
  )
  const { body } = await ask('GET', `${VERSIONS}/2`)
  for (const [name, value] of Object.entries(draft)) assert.deepEqual(body[name], value, name)
  assert.equal(body['created_by'], 'admin')

  const unknown = errorOf(await ask('POST', VERSIONS, { upstream: 'opnai', asks: 'x' }))
  assert.deepEqual([unknown.status, unknown.param], [400, 'upstream'])
  assert.match(unknown.message, /'opnai'; declared are openai, azure/)
  assert.equal(errorOf(await ask('POST', VERSIONS, { upstream: 'openai' })).param, 'asks')
  const none = await ask('POST', `${MODELS}/none/versions`, { upstream: 'openai', asks: 'x' })
  assert.equal(errorOf(none).code, 'model_not_in_catalog')
})

test('what a version was made of is said once, and put right only in a draft', async (t) => {
  const { ask, store, registrar } = await startCatalog(t, postgres)
  await publishVersion(store, 'guide')
  await registrar.sync()
  const path = `${VERSIONS}/1`
  const said = await ask('PATCH', path, { base_model: 'smol', hyperparameters: { lr: 0.1 } })
  assert.deepEqual([said.status, said.body['base_model']], [200, 'smol'])
  assert.equal((await ask('PATCH', path, { base_model: 'smol', created_by: 'Ada' })).status, 200)
  const refused = errorOf(await ask('PATCH', path, { base_model: 'large', change_note: 'x' }))
  assert.deepEqual(
    [refused.status, refused.code, refused.param],
    [409, 'fact_is_set', 'base_model'],
  )
  assert.equal((await ask('GET', path)).body['change_note'], null)

  const draft = { upstream: 'openai', asks: 'gpt', base_model: 'a', state: 'draft' }
  const made = await ask('POST', VERSIONS, draft)
  assert.equal(made.body['state'], 'draft')
  assert.equal((await ask('PATCH', `${VERSIONS}/2`, { base_model: 'b' })).body['base_model'], 'b')
  await ask('PATCH', `${VERSIONS}/2`, { state: 'ready' })
  assert.equal(errorOf(await ask('PATCH', `${VERSIONS}/2`, { base_model: 'c' })).status, 409)
  const price = { input: 1, output: 2 }
  assert.deepEqual((await ask('PATCH', `${VERSIONS}/2`, { price })).body['price'], price)
})

test('a version that is live is neither archived nor deleted; others are, and come back from the archive', async (t) => {
  const { ask, store, registrar } = await startCatalog(t, postgres)
  await publishVersion(store, 'guide')
  await publishVersion(store, 'guide')
  await registrar.sync()
  for (const [method, body] of [['PATCH', { state: 'archived' }], ['DELETE']] as const) {
    const refused = errorOf(await ask(method, `${VERSIONS}/2`, body))
    assert.deepEqual([refused.status, refused.code], [409, 'version_live'])
    assert.match(refused.message, /it is the newest version of guide/)
  }
  const archived = await ask('PATCH', `${VERSIONS}/1`, { state: 'archived' })
  assert.equal(archived.body['state'], 'archived')
  assert.equal((await ask('PATCH', `${VERSIONS}/1`, { state: 'ready' })).body['state'], 'ready')
  assert.equal(errorOf(await ask('PATCH', `${VERSIONS}/1`, { state: 'draft' })).param, 'state')
})

test('a deleted version loses its folder and keeps its number and its row', async (t) => {
  const { ask, store, loaded, registrar } = await startCatalog(t, postgres)
  await publishVersion(store, 'guide')
  await publishVersion(store, 'guide')
  await registrar.sync()
  loaded.add('guide@1')
  assert.equal(errorOf(await ask('DELETE', `${VERSIONS}/1`)).code, 'version_loaded')
  assert.notEqual(await store.resolve('guide@1'), null)
  loaded.clear()
  assert.equal((await ask('DELETE', `${VERSIONS}/1`)).body['state'], 'deleted')
  assert.equal(await store.resolve('guide@1'), null)
  assert.equal(errorOf(await ask('DELETE', `${VERSIONS}/1`)).status, 404)
  assert.equal(errorOf(await ask('PATCH', `${VERSIONS}/1`, { state: 'ready' })).status, 404)
  assert.equal(rowsOf(await ask('GET', VERSIONS)).length, 1)
  assert.equal(rowsOf(await ask('GET', `${VERSIONS}?state=deleted`)).length, 1)
  await registrar.sync()
  assert.equal((await ask('GET', `${VERSIONS}/1`)).body['state'], 'deleted')
  assert.equal((await publishVersion(store, 'guide')).id, 'guide@3')
})

test('developers read the catalog, admins write it, and the audit log tells of each change', async (t) => {
  const { ask, makeKey, store, registrar } = await startCatalog(t, postgres)
  await publishVersion(store, 'guide')
  await publishVersion(store, 'guide')
  await registrar.sync()
  const developer = (await makeKey({ name: 'dev', role: 'developer' })).key
  const caller = (await makeKey({ name: 'app' })).key
  assert.equal((await ask('GET', VERSIONS, undefined, developer)).status, 200)
  assert.equal(errorOf(await ask('GET', VERSIONS, undefined, caller)).code, 'insufficient_role')
  const writes: [string, string, object?][] = [
    ['POST', MODELS, { name: 'other' }],
    ['PATCH', `${MODELS}/guide`, { owner: 'Ada' }],
    ['POST', VERSIONS, { upstream: 'openai', asks: 'x' }],
    ['PATCH', `${VERSIONS}/1`, { state: 'archived' }],
    ['DELETE', `${VERSIONS}/1`],
  ]
  for (const [method, path, body] of writes) {
    assert.equal(errorOf(await ask(method, path, body, developer)).code, 'insufficient_role')
    assert.ok((await ask(method, path, body)).status < 300, `${method} ${path}`)
  }
  const entries = rowsOf(await ask('GET', '/admin/audit')).map((entry) => entry['action'])
  assert.deepEqual(entries.slice(0, 5), [
    'catalog_version.delete',
    'catalog_version.archive',
    'catalog_version.create',
    'catalog_model.update',
    'catalog_model.create',
  ])
})
