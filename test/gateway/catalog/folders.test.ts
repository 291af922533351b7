// The catalog follows the version folders: what is there is registered, what is damaged or gone is shown as such.

import assert from 'node:assert/strict'
import { chmod, rename, rm, truncate, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import test from 'node:test'

import { keepLibraryId } from '../../../models/library-id.ts'
import { ModelStore } from '../../../models/store.ts'
import { draftOf, publishVersion, scratchFolder } from '../../models/scratch.ts'
import { errorOf, rowsOf } from '../../support/admin.ts'
import { startCatalog } from '../../support/catalog.ts'
import { usePostgres } from '../../support/postgres.ts'
import { findVersion, updateVersion } from '../../../gateway/db/catalog-versions.ts'
import { getVersion } from '../../../gateway/catalog/versions.ts'

const postgres = usePostgres()
const ONE = '/admin/catalog/models/guide/versions/1'

test('a version folder is in the catalog with what its manifest says', async (t) => {
  const { ask, store, registrar } = await startCatalog(t, postgres)
  assert.equal(errorOf(await ask('GET', ONE)).code, 'version_not_found')
  const { manifest } = await publishVersion(store, 'guide')
  await registrar.sync()

  const { body } = await ask('GET', ONE)
  assert.equal(body['id'], 'guide@1')
  assert.deepEqual([body['kind'], body['state'], body['condition']], ['local', 'ready', 'present'])
  assert.match(String(body['digest']), /^[0-9a-f]{64}$/)
  assert.deepEqual(
    [body['source'], body['family'], body['precision'], body['parameters'], body['context_length']],
    ['/checkpoint', 'llama', 'int8', 1000, 256],
  )
  assert.equal(body['created_at'], manifest.created)
  const [model] = rowsOf(await ask('GET', '/admin/catalog/models'))
  assert.deepEqual(
    [model?.['id'], model?.['licence'], model?.['versions'], model?.['newest_ready']],
    ['guide', 'Apache-2.0', 1, 1],
  )
})

test('a version with an adapter in it says what that was trained on', async (t) => {
  const { ask, store, registrar } = await startCatalog(t, postgres)
  const { source } = draftOf('base')
  const base = { version: 'base@4', source }
  const adapter = { form: 'merged' as const, rank: 8, alpha: 16, modules: ['q_proj'], base }
  await publishVersion(store, 'guide', { adapter })
  await registrar.sync()
  assert.equal((await ask('GET', ONE)).body['base_model'], 'base@4')
})

test('versions that answer alike have the same digest, others have another one', async (t) => {
  const { ask, store, registrar } = await startCatalog(t, postgres)
  await publishVersion(store, 'guide')
  await publishVersion(store, 'guide', { licence: 'MIT' })
  await publishVersion(store, 'guide', { chatTemplate: 'Say {{ messages }}' })
  await registrar.sync()
  const listed = rowsOf(await ask('GET', '/admin/catalog/models/guide/versions'))
  const [third, second, first] = listed.map((row) => row['digest'])
  assert.equal(first, second)
  assert.notEqual(third, second)
})

test('a folder that is damaged, or gone, or another one, is shown as that, and as well when it is back', async (t) => {
  const { ask, store, dataDir, registrar, lines } = await startCatalog(t, postgres)
  const { folder } = await publishVersion(store, 'guide')
  const conditionNow = async () => {
    await registrar.sync()
    const { body } = await ask('GET', ONE)
    return [body['condition'], body['problem']] as [string, string | null]
  }
  assert.deepEqual(await conditionNow(), ['present', null])

  const data = join(folder, 'model.onnx.data')
  await chmod(data, 0o644)
  await truncate(data, 3)
  const [cut, why] = await conditionNow()
  assert.equal(cut, 'damaged')
  assert.deepEqual([registrar.damaged, registrar.missing], [1, 0])
  assert.match(String(why), /model\.onnx\.data has 3 bytes instead of 26/)
  await writeFile(data, 'content of model.onnx.data')
  assert.deepEqual(await conditionNow(), ['present', null])

  await rename(folder, join(dataDir, 'elsewhere'))
  assert.deepEqual(await conditionNow(), ['missing', 'its folder is gone'])
  assert.deepEqual([registrar.damaged, registrar.missing], [0, 1])
  await rename(join(dataDir, 'elsewhere'), folder)
  assert.deepEqual(await conditionNow(), ['present', null])

  const manifest = join(folder, 'manifest.json')
  await chmod(manifest, 0o644)
  await writeFile(manifest, '{}')
  assert.equal((await conditionNow())[0], 'damaged')
  const told = lines.filter((line) => /^guide@1 is (damaged|missing)/.test(line.message))
  assert.equal(told.length, 3)
})

test('a folder whose content was changed under its number is damaged', async (t) => {
  const { ask, store, registrar } = await startCatalog(t, postgres)
  const { folder, manifest } = await publishVersion(store, 'guide')
  await registrar.sync()
  const file = join(folder, 'manifest.json')
  await chmod(file, 0o644)
  await writeFile(file, JSON.stringify({ ...manifest, chatTemplate: 'Something else' }))
  await registrar.sync()
  const { body } = await ask('GET', ONE)
  assert.equal(body['condition'], 'damaged')
  assert.match(String(body['problem']), /digest \w{64}; \w{64} was registered/)
})

test('a folder that could not be read at first is a draft until it can', async (t) => {
  const { ask, store, registrar } = await startCatalog(t, postgres)
  const { folder, manifest } = await publishVersion(store, 'guide')
  const file = join(folder, 'manifest.json')
  await chmod(file, 0o644)
  await writeFile(file, 'half of it')
  await registrar.sync()
  const broken = (await ask('GET', ONE)).body
  assert.deepEqual(
    [broken['state'], broken['condition'], broken['digest']],
    ['draft', 'damaged', null],
  )
  await writeFile(file, JSON.stringify(manifest))
  await registrar.sync()
  const { body } = await ask('GET', ONE)
  assert.deepEqual(
    [body['state'], body['condition'], body['family']],
    ['ready', 'present', 'llama'],
  )
})

test('a gateway without a version does not say that it is gone, and one that has it steps in', async (t) => {
  const { ask, store, registrar, registrarOf } = await startCatalog(t, postgres)
  const { folder } = await publishVersion(store, 'guide')
  await registrar.sync()
  const other = new ModelStore(await scratchFolder(t))
  const others = registrarOf(other)
  await others.sync()
  assert.equal((await ask('GET', ONE)).body['condition'], 'present')

  await publishVersion(other, 'guide')
  await others.sync()
  await rm(folder, { recursive: true })
  await registrar.sync()
  assert.equal((await ask('GET', ONE)).body['condition'], 'missing')
  await publishVersion(other, 'guide')
  await others.sync()
  assert.equal((await ask('GET', ONE)).body['condition'], 'present')
  await registrar.sync()
  assert.equal((await ask('GET', ONE)).body['condition'], 'present')
})

test('a deletion that was broken off is finished', async (t) => {
  const { pool, store, registrar } = await startCatalog(t, postgres)
  await publishVersion(store, 'guide')
  await registrar.sync()
  const version = await getVersion(pool, 'guide@1')
  await updateVersion(pool, { ...version, state: 'deleted' })
  await publishVersion(store, 'guide')
  await registrar.sync()
  assert.deepEqual(
    (await store.listVersions('guide')).map(({ id }) => id),
    ['guide@2'],
  )
})

test('a folder that appears is registered by itself, also after the database was away', async (t) => {
  const { pool, store, lines, registrarOf } = await startCatalog(t, postgres)
  await publishVersion(store, 'guide')
  const registrar = registrarOf(store, 20)
  const client = await pool.connect()
  await client.query('ALTER TABLE catalog_versions RENAME TO elsewhere')
  await registrar.start()
  assert.equal(lines.filter(({ level }) => level === 'warn').length, 1)
  await client.query('ALTER TABLE elsewhere RENAME TO catalog_versions')
  client.release()
  for (const id of ['guide@1', 'guide@2']) {
    while (!(await findVersion(pool, id))) await new Promise((resolve) => setTimeout(resolve, 20))
    if (id === 'guide@1') await publishVersion(store, 'guide')
  }
  await registrar.close()
  assert.equal(lines.filter(({ level }) => level === 'warn').length, 1)
})

test('a library keeps its name', async (t) => {
  const dataDir = await scratchFolder(t)
  const names = await Promise.all([keepLibraryId(dataDir), keepLibraryId(dataDir)])
  assert.deepEqual(names, [names[0], await keepLibraryId(dataDir)])
  await writeFile(join(dataDir, 'models', '.library'), 'mine')
  await assert.rejects(keepLibraryId(dataDir), /has to hold a UUID; it holds 'mine'/)
})
