// What /readyz counts of a server whose models are the catalog's: those that an upstream's version answers for.

import assert from 'node:assert/strict'
import { test } from 'node:test'

import { UpstreamModels } from '../../../gateway/deployments/upstream-models.ts'
import { FAR_VERSIONS } from '../../support/trials.ts'
import { eventually } from '../../support/runtime.ts'
import type { Deployment } from '../../../gateway/db/deployments.ts'

const entryOf = (model: string, version: string, fallbacks: string[] = []) =>
  ({ model, state: { targets: [{ version, weight: 1 }], fallbacks } }) as unknown as Deployment

test('models are counted that an upstream which is declared answers for', async (t) => {
  const live = [
    entryOf('support', 'support@1'),
    entryOf('guide', 'guide@1'),
    entryOf('both', 'guide@1', ['support@1']),
    entryOf('declared', 'support@1'),
  ]
  let upstreams = ['far']
  const models = new UpstreamModels({
    live: { list: () => live },
    versions: {
      find: async (id) =>
        id.startsWith('guide@')
          ? { kind: 'local', created: '2026-01-01T00:00:00.000Z' }
          : FAR_VERSIONS.find(id),
    },
    hasUpstream: (name) => upstreams.includes(name),
    isDeclared: (model) => model === 'declared',
  })
  t.after(() => models.close())
  await models.start()
  assert.equal(models.count, 2)
  upstreams = []
  await eventually('it is seen that the upstream is gone', () => models.count === 0)
})
