// `headrace models remove` beside a server that runs on the same folder, and without one.

import assert from 'node:assert/strict'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'

import { modelsCommand } from '../../cli/models.ts'
import { loadConfig } from '../../gateway/settings/config.ts'
import { publishVersion } from '../models/scratch.ts'
import { startCatalog } from '../support/catalog.ts'
import { ADMIN_KEY } from '../support/gateway.ts'
import { usePostgres } from '../support/postgres.ts'

const postgres = usePostgres()

async function remove(dataDir: string, id: string) {
  let said = ''
  let code = 0
  const write = (text: string) => (said += text)
  const models = modelsCommand({
    dataDir,
    precision: 'int4',
    threads: 1,
    env: {},
    loadSettings: () => loadConfig({ HEADRACE_DATA_DIR: dataDir }),
    stdout: { write },
    stderr: { write },
    setExitCode: (given) => (code = given),
  })
  await models.parseAsync(['remove', id], { from: 'user' })
  return { said, code }
}

test('a version is not removed under a server that answers with it, or has it loaded', async (t) => {
  const { store, dataDir, registrar, loaded, url, ask } = await startCatalog(t, postgres)
  for (let count = 0; count < 4; count++) await publishVersion(store, 'guide')
  await registrar.sync()
  await writeFile(join(dataDir, 'server-url'), `${url}\n`)
  await writeFile(join(dataDir, 'admin-key'), `${ADMIN_KEY}\n`)
  loaded.add('guide@2')

  const live = await remove(dataDir, 'guide@4')
  assert.equal(live.code, 1)
  assert.match(live.said, /guide@4 can't be deleted: it is the newest version of guide/)
  assert.match((await remove(dataDir, 'guide@2')).said, /an engine holds it\. Unload it first/)
  assert.deepEqual(await remove(dataDir, 'guide@1'), { said: 'guide@1 is removed\n', code: 0 })
  const { body } = await ask('GET', '/admin/catalog/models/guide/versions/1')
  assert.equal(body['state'], 'deleted')
  const versions = (await store.listAll()).map(({ id }) => id).toSorted()
  assert.deepEqual(versions, ['guide@2', 'guide@3', 'guide@4'])

  // What the catalog doesn't have yet, or has no more.
  await publishVersion(store, 'other')
  assert.equal((await remove(dataDir, 'other@1')).code, 0)
  assert.match((await remove(dataDir, 'guide@1')).said, /There is no version guide@1/)
})

test('where the server was killed, its address is not taken for it', async (t) => {
  const { store, dataDir } = await startCatalog(t, postgres)
  await publishVersion(store, 'guide')
  await writeFile(join(dataDir, 'server-url'), 'http://127.0.0.1:9\n')
  assert.deepEqual(await remove(dataDir, 'guide@1'), { said: 'guide@1 is removed\n', code: 0 })
})
