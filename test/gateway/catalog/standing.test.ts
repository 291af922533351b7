// What versions are to the traffic of their model: which one a card is of, and what keeps one from being put away.

import assert from 'node:assert/strict'
import test from 'node:test'
import type { TestContext } from 'node:test'

import { declaredIsLive, deployedIsLive } from '../../../gateway/catalog/guards.ts'
import { Ledger } from '../../../gateway/deployments/ledger.ts'
import { publishVersion } from '../../models/scratch.ts'
import { errorOf } from '../../support/admin.ts'
import { startCatalog } from '../../support/catalog.ts'
import { openDeclaration } from '../../support/declared-gateway.ts'
import { ADMIN_KEY } from '../../support/gateway.ts'
import { usePostgres } from '../../support/postgres.ts'
import { deploymentDraft } from '../../support/webhooks.ts'
import type { TrafficState } from '../../../gateway/deployments/state.ts'

const postgres = usePostgres()
const MODEL = '/admin/catalog/models/guide'

async function startDeployed(t: TestContext, versions: number, state: Partial<TrafficState>) {
  const catalog = await startCatalog(t, postgres)
  for (let number = 1; number <= versions; number++) await publishVersion(catalog.store, 'guide')
  await catalog.registrar.sync()
  const draft = deploymentDraft('guide@1', null)
  const ledger = new Ledger({ pool: catalog.pool, announce: () => Promise.resolve() })
  await ledger.append({ ...draft, state: { ...draft.state, ...state } })
  const card = async (query = '') => {
    const headers = { authorization: `Bearer ${ADMIN_KEY}` }
    return (await fetch(`${catalog.url}${MODEL}/card.md${query}`, { headers })).text()
  }
  return { ...catalog, card }
}

const CANARY = { share: 0.05, steps: [1], bakeSeconds: 60, guards: {} }

test('a card is of the live version, not of one on trial or of one that nobody sees', async (t) => {
  const { card } = await startDeployed(t, 4, {
    canary: { version: 'guide@2', ...CANARY },
    shadow: { version: 'guide@3', share: 0.1 },
    fallbacks: ['guide@4'],
  })
  const text = await card()
  assert.match(
    text,
    /\*\*Version\*\* \| `guide@1`, ready \|\n.*\n\| \*\*Traffic\*\* \| live in deployment 1/,
  )
  for (const role of [
    'ready, **live**',
    'ready, **canary**',
    'ready, **shadow**',
    'ready, **fallback**',
  ])
    assert.ok(text.includes(role), role)
  assert.match(
    await card('?version=2'),
    /\*\*Traffic\*\* \| the canary of deployment 1 of guide, at 5 %/,
  )
})

test('a card is of the live version however many newer ones there are', async (t) => {
  const { card } = await startDeployed(t, 22, {})
  assert.match(await card(), /\*\*Version\*\* \| `guide@1`, ready \|/)
})

test('what keeps a version from being archived is told with its part', async (t) => {
  const { ask } = await startDeployed(t, 4, {
    canary: { version: 'guide@2', ...CANARY },
    shadow: { version: 'guide@3', share: 0.1 },
    fallbacks: ['guide@4'],
  })
  const refusals = [
    /it is live in deployment 1 of guide\. Let another/,
    /it is the canary of deployment 1 of guide, at 5 %\. Promote it or/,
    /it is the shadow of deployment 1 of guide, at 10 %\. End the/,
    /it is a fallback of deployment 1 of guide\. Deploy without/,
  ]
  for (const [index, words] of refusals.entries()) {
    const path = `${MODEL}/versions/${index + 1}`
    const refused = errorOf(await ask('PATCH', path, { state: 'archived' }))
    assert.deepEqual([refused.status, refused.code], [409, 'version_live'])
    assert.match(refused.message, words)
  }
})

test('a version that a declared model names is not taken from it', async (t) => {
  const targets = [{ version: 'guide@1' }]
  const { routes } = await openDeclaration(t, { models: { pinned: { targets } } })
  const liveIn = declaredIsLive(deployedIsLive, (id) => routes.modelNaming(id))
  const { ask, store, registrar } = await startCatalog(t, postgres, { liveIn })
  for (let count = 0; count < 3; count++) await publishVersion(store, 'guide')
  await registrar.sync()
  const refused = errorOf(await ask('DELETE', `${MODEL}/versions/1`))
  assert.deepEqual([refused.status, refused.code], [409, 'version_live'])
  assert.match(refused.message, /can't be deleted: the declared model 'pinned' names it\. Declare/)
  assert.equal((await ask('DELETE', `${MODEL}/versions/2`)).status, 200)
})
