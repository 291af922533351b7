// What is loaded and unloaded where a host refuses something in the middle.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { TestContext } from 'node:test'

import { listDeployments } from '../../../gateway/db/deployments.ts'
import { migrate } from '../../../gateway/db/migrate.ts'
import { openDeployments } from '../../../gateway/deployments/open.ts'
import { defer } from '../../support/lasting.ts'
import { recordLog } from '../../support/logger.ts'
import { usePostgres } from '../../support/postgres.ts'
import { failure, ScriptedRuntime } from '../../support/scripted-runtime.ts'
import { FAR_VERSIONS, TESTER } from '../../support/trials.ts'
import type { Room } from '../../../gateway/deployments/room.ts'

const postgres = usePostgres()
const refused = () => failure('runtime_unreachable', 'It is not there.')

class RefusingRuntime extends ScriptedRuntime {
  /** what is not unloaded */
  readonly stubborn = new Set<string>()

  override async unload(version: string): Promise<void> {
    if (this.stubborn.has(version)) throw refused()
    return super.unload(version)
  }
}

async function start(
  t: TestContext,
  { room = async () => null, keepMs = 0 }: { room?: Room; keepMs?: number },
) {
  const pool = await postgres.pool(t)
  await migrate(pool)
  const runtime = new RefusingRuntime([])
  const { logger, messages } = recordLog()
  const created = '2026-01-01T00:00:00.000Z'
  const deployments = await openDeployments({
    pool,
    runtime,
    room,
    versions: { ...FAR_VERSIONS, find: async () => ({ kind: 'local', created }) },
    isDeclared: () => false,
    keepMs,
    logger,
  })
  defer(t, () => deployments.close())
  const deploy = (...versions: string[]) => {
    const targets = versions.map((version) => ({ version, weight: 1 }))
    const asked = { ...TESTER, replace: true }
    return deployments.switchboard.deploy('guide', { action: 'weights', targets }, asked)
  }
  const loaded = () => [...runtime.loaded].sort()
  return { ...deployments, pool, runtime, messages, deploy, loaded }
}

test('what a host did not unload is unloaded at the next look', async (t) => {
  const { runtime, residency, deploy, loaded, messages } = await start(t, {})
  await deploy('guide@1', 'guide@2')
  await deploy('guide@3')
  runtime.stubborn.add('guide@1')
  await residency.look()
  await residency.look()
  assert.deepEqual(loaded(), ['guide@1', 'guide@3'], 'others do not wait for it')
  const told = messages().filter((message) => message.includes('guide@1 could not be unloaded'))
  assert.equal(told.length, 1)
  runtime.stubborn.clear()
  await residency.look()
  assert.deepEqual(loaded(), ['guide@3'])
})

test('the ledger is not read through for what is loaded by name, unless there is something new in it', async (t) => {
  const { pool, runtime, residency, deploy } = await start(t, {})
  let readings = 0
  const query = pool.query.bind(pool) as (...asked: unknown[]) => unknown
  t.mock.method(pool, 'query', (...asked: unknown[]) => {
    if (!String(asked[0]).includes('WITH spans')) return query(...asked)
    readings++
    return isAway ? Promise.reject(new Error('It is away.')) : query(...asked)
  })
  let isAway = true
  await deploy('guide@7')
  await deploy('guide@1')
  await assert.rejects(residency.look(), /It is away/)
  isAway = false
  await residency.look()
  assert.deepEqual([...runtime.loaded], ['guide@1'], 'what could not be read is not known')
  readings = 0
  await runtime.load('guide@9')
  for (let look = 0; look < 3; look++) await residency.look()
  assert.equal(readings, 1)
  await runtime.load('guide@8')
  await residency.look()
  assert.equal(readings, 2, 'nothing was known of it')
  await deploy('guide@7')
  await deploy('guide@1')
  await residency.look()
  assert.deepEqual([...runtime.loaded].sort(), ['guide@1', 'guide@8', 'guide@9'])
})

test('where room can not be made what was ended for it is loaded again, and the ledger says why', async (t) => {
  let isShort = false
  const room: Room = async () => (isShort ? { needBytes: 2, freeBytes: 1 } : null)
  const { pool, runtime, deploy, loaded } = await start(t, { room })
  await deploy('guide@1', 'guide@2')
  isShort = true
  runtime.stubborn.add('guide@2')
  await assert.rejects(deploy('guide@3'), {
    code: 'deployment_failed',
    message: /It is not there\./,
  })
  assert.deepEqual(loaded(), ['guide@1', 'guide@2'])
  const { rows } = await listDeployments(pool, 'guide', { before: null, limit: 1 })
  assert.deepEqual([rows[0]?.outcome, rows[0]?.error], ['failed', 'It is not there.'])
})

test('a deployment that fails unloads nothing that is kept to go back to', async (t) => {
  const { runtime, residency, deploy, loaded } = await start(t, { keepMs: 600_000 })
  await deploy('guide@1')
  await deploy('guide@2')
  await residency.look()
  runtime.onLoad = async (version) => {
    if (version === 'guide@3') throw refused()
  }
  await assert.rejects(deploy('guide@1', 'guide@3'), { code: 'deployment_failed' })
  assert.deepEqual(loaded(), ['guide@1', 'guide@2'])
})
