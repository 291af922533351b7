// The catalog and the ledger of deployments: what may be deployed, and what is live and so stays.

import assert from 'node:assert/strict'
import test from 'node:test'
import type { TestContext } from 'node:test'

import { openCatalog } from '../../../gateway/catalog/open.ts'
import { migrate } from '../../../gateway/db/migrate.ts'
import { openDeployments } from '../../../gateway/deployments/open.ts'
import { ModelStore } from '../../../models/store.ts'
import { publishVersion, scratchFolder } from '../../models/scratch.ts'
import { errorOf, startAdmin } from '../../support/admin.ts'
import { defer } from '../../support/lasting.ts'
import { recordLog } from '../../support/logger.ts'
import { usePostgres } from '../../support/postgres.ts'

const postgres = usePostgres()
const MODELS = '/admin/catalog/models'

/** @param between what happens after what is deployed was looked at, before it is written down */
async function start(t: TestContext, between?: () => Promise<void>) {
  const pool = await postgres.pool(t)
  await migrate(pool)
  const dataDir = await scratchFolder(t)
  const store = new ModelStore(dataDir)
  const { logger } = recordLog()
  const catalog = await openCatalog({ pool, store, dataDir, runtime: null, logger })
  defer(t, () => catalog.close())
  const { versions } = catalog
  const deployments = await openDeployments({
    pool,
    versions,
    gates: [catalog.gate, async () => (await between?.(), null)],
    hold: catalog.hold,
    runtime: null,
    keepMs: 0,
    logger,
    isDeclared: () => false,
  })
  defer(t, () => deployments.close())
  const admin = await startAdmin(t, pool, { deps: { deployments, catalog } })
  const deploy = (version: string) =>
    admin.ask('POST', `/admin/models/${version.split('@')[0]}/deployments`, {
      action: 'deploy',
      version,
    })
  return { ...admin, ...catalog, store, deploy }
}

test('a version that an upstream answers is deployed when it is ready, and stays while it is live', async (t) => {
  const { ask, deploy, versions } = await start(t)
  await ask('POST', MODELS, { name: 'support' })
  const path = `${MODELS}/support/versions`
  const price = { input: 1, cached_input: 0.5, output: 2 }
  await ask('POST', path, { upstream: 'openai', asks: 'gpt-a', price, state: 'draft' })
  await ask('POST', path, { upstream: 'openai', asks: 'gpt-b' })
  const early = errorOf(await deploy('support@1'))
  assert.deepEqual([early.status, early.code], [409, 'invalid_state'])
  assert.match(early.message, /support@1 is draft/)

  await ask('PATCH', `${path}/1`, { state: 'ready' })
  const done = await deploy('support@1')
  assert.ok(done.status < 300, JSON.stringify(done.body))
  const { created: _, ...found } = (await versions.find('support@1'))!
  const told = { input: 1, cachedInput: 0.5, output: 2 }
  assert.deepEqual(found, { kind: 'upstream', upstream: 'openai', asks: 'gpt-a', price: told })
  for (const [method, body] of [['PATCH', { state: 'archived' }], ['DELETE']] as const) {
    const refused = errorOf(await ask(method, `${path}/1`, body))
    assert.deepEqual([refused.status, refused.code], [409, 'version_live'])
    assert.match(refused.message, /it is live in deployment \d+ of support/)
  }
  assert.ok((await deploy('support@2')).status < 300)
  assert.equal((await ask('PATCH', `${path}/1`, { state: 'archived' })).status, 200)
  assert.equal(errorOf(await deploy('support@1')).code, 'invalid_state')
})

test('what is adopted is the newest folder that is ready', async (t) => {
  const { ask, store, versions, registrar } = await start(t)
  await publishVersion(store, 'guide')
  await publishVersion(store, 'guide')
  assert.equal(await versions.newestOf('guide'), 'guide@2')
  await registrar.sync()
  const path = `${MODELS}/guide/versions`
  assert.equal(errorOf(await ask('PATCH', `${path}/2`, { state: 'archived' })).code, 'version_live')
  await publishVersion(store, 'guide')
  await registrar.sync()
  assert.equal((await ask('PATCH', `${path}/2`, { state: 'archived' })).status, 200)
  assert.equal(await versions.newestOf('guide'), 'guide@3')
  await store.remove('guide@3')
  assert.equal(await versions.newestOf('guide'), 'guide@1')
})

test('a version that is archived while it is deployed does not go live', async (t) => {
  let between = async () => {}
  const { ask, deploy } = await start(t, () => between())
  await ask('POST', MODELS, { name: 'support' })
  const path = `${MODELS}/support/versions`
  await ask('POST', path, { upstream: 'openai', asks: 'gpt-a' })
  await ask('POST', path, { upstream: 'openai', asks: 'gpt-b' })
  assert.ok((await deploy('support@1')).status < 300)
  between = async () => {
    assert.equal((await ask('PATCH', `${path}/2`, { state: 'archived' })).status, 200)
  }
  const late = errorOf(await deploy('support@2'))
  assert.deepEqual([late.status, late.code], [409, 'invalid_state'])
  const { body } = await ask('GET', '/admin/models/support/live')
  assert.equal(body['number'], 1)
})

test('of a deployment and an archiving of one version at once exactly one happens', async (t) => {
  const { ask, deploy } = await start(t)
  await ask('POST', MODELS, { name: 'support' })
  const path = `${MODELS}/support/versions`
  await ask('POST', path, { upstream: 'openai', asks: 'gpt-a' })
  for (let number = 2; number <= 11; number++) {
    await ask('POST', path, { upstream: 'openai', asks: `gpt-${number}` })
    await deploy('support@1')
    const [deployed, archived] = await Promise.all([
      deploy(`support@${number}`),
      ask('PATCH', `${path}/${number}`, { state: 'archived' }),
    ])
    const done = [deployed, archived].filter(({ status }) => status < 300)
    assert.equal(done.length, 1, `${number}: ${deployed.status} and ${archived.status}`)
  }
})
