// Declared models whose targets are models of the library: they are answered as those are deployed.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { TestContext } from 'node:test'

import { openDeclaration } from '../../support/declared-gateway.ts'
import { libraryRoutes } from '../../support/library-routes.ts'
import { ScriptedBackend } from '../../support/scripted-backend.ts'
import type { DeclaredModel } from '../../../gateway/declared/schema.ts'
import type { TrafficState } from '../../../gateway/deployments/state.ts'
import type { Target } from '../../../gateway/routing/route.ts'

const VERSIONS = [1, 2, 3, 4, 5].map((number) => ({
  id: `guide@${number}`,
  created: `2026-01-0${number}T00:00:00.000Z`,
}))
const STATE: TrafficState = {
  targets: [
    { version: 'guide@1', weight: 30 },
    { version: 'guide@2', weight: 10 },
  ],
  canary: { version: 'guide@3', share: 0.2, steps: [1], bakeSeconds: 60, guards: {} },
  shadow: { version: 'guide@4', share: 0.5 },
  fallbacks: ['guide@5'],
  sticky: 'user',
}

async function routeOf(t: TestContext, model: DeclaredModel) {
  const library = libraryRoutes(VERSIONS, new ScriptedBackend(), { guide: STATE })
  const upstreams = { near: { api: 'compatible' as const, base_url: 'http://127.0.0.1:1/v1' } }
  const declaration = { upstreams, models: { chat: model } }
  const { routes } = await openDeclaration(t, declaration, { library })
  return (await routes.find('chat'))!
}

const weights = (targets: Target[]) =>
  targets.map(({ version, weight }) => [version, Math.round(weight * 1e6) / 1e6])

test('a declared model that is a model of the library is answered as that one is deployed', async (t) => {
  const price = { input: 1, output: 2 }
  const route = await routeOf(t, {
    targets: [{ version: 'guide', price }],
    fallbacks: [{ upstream: 'near', model: 'a' }],
  })
  assert.deepEqual(weights(route.targets), [
    ['guide@1', 30],
    ['guide@2', 10],
  ])
  const { canary, shadow, sticky, deployment, model } = route
  assert.deepEqual([canary?.target.version, canary?.share], ['guide@3', 0.2])
  assert.deepEqual([shadow?.target.version, shadow?.share], ['guide@4', 0.5])
  assert.deepEqual([model, sticky, deployment], ['chat', 'user', 7])
  const instead = route.fallbacks.map(({ version }) => version)
  assert.deepEqual(instead, ['a@near', 'guide@5'])
  const dear = [...route.targets, canary!.target].map((target) => target.price?.output)
  assert.deepEqual(dear, [2, 2, 2])
})

test('beside other targets the versions of a library model share its weight, the one on trial too', async (t) => {
  const route = await routeOf(t, {
    targets: [
      { upstream: 'near', model: 'a', weight: 5 },
      { version: 'guide', weight: 5 },
    ],
  })
  assert.deepEqual(weights(route.targets), [
    ['a@near', 5],
    ['guide@1', 3],
    ['guide@2', 1],
    ['guide@3', 1],
  ])
  assert.equal(route.canary, undefined)
})

test('a version that is named twice is one target', async (t) => {
  const route = await routeOf(t, { targets: [{ version: 'guide' }, { version: 'guide@2' }] })
  assert.deepEqual(weights(route.targets), [
    ['guide@1', 0.6],
    ['guide@2', 1.2],
    ['guide@3', 0.2],
  ])
})
