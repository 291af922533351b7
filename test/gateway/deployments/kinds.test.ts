// What versions of models that make no texts may be.

import assert from 'node:assert/strict'
import { test } from 'node:test'

import { migrate } from '../../../gateway/db/migrate.ts'
import { openDeployments } from '../../../gateway/deployments/open.ts'
import { defer } from '../../support/lasting.ts'
import { recordLog } from '../../support/logger.ts'
import { usePostgres } from '../../support/postgres.ts'
import { ScriptedRuntime } from '../../support/scripted-runtime.ts'
import { FAR_VERSIONS, TESTER } from '../../support/trials.ts'

const postgres = usePostgres()

test('a version that makes no texts can not be a shadow: nothing is copied to it', async (t) => {
  const pool = await postgres.pool(t)
  await migrate(pool)
  const created = '2026-01-01T00:00:00.000Z'
  const deployments = await openDeployments({
    pool,
    runtime: new ScriptedRuntime([]),
    versions: {
      ...FAR_VERSIONS,
      find: async (id) => {
        const task = id.startsWith('search') ? 'embed' : 'generate'
        return { kind: 'local', task, created }
      },
    },
    isDeclared: () => false,
    keepMs: 0,
    logger: recordLog().logger,
  })
  defer(t, () => deployments.close())
  const { switchboard } = deployments
  const shadow = (model: string) =>
    switchboard.deploy(model, { action: 'shadow', version: `${model}@2` }, TESTER)
  for (const model of ['search', 'guide']) {
    await switchboard.deploy(model, { action: 'deploy', version: `${model}@1` }, TESTER)
  }
  await assert.rejects(shadow('search'), {
    code: 'unsupported_model',
    message: "'search@2' makes no texts, and only requests for texts are copied to a shadow.",
  })
  assert.equal((await shadow('guide')).state.shadow?.version, 'guide@2')
})
