// What is live goes on while PostgreSQL is away, and a conversation stays where it is.

import assert from 'node:assert/strict'
import { test } from 'node:test'

import { LiveDeployments } from '../../../gateway/deployments/live.ts'
import { Ledger } from '../../../gateway/deployments/ledger.ts'
import { migrate } from '../../../gateway/db/migrate.ts'
import { startFleet } from '../../support/deployed-gateway.ts'
import { defer } from '../../support/lasting.ts'
import { recordLog } from '../../support/logger.ts'
import { startStoppingPostgres, usePostgres } from '../../support/postgres.ts'
import { eventually } from '../../support/runtime.ts'
import { addTinyVersion } from '../../support/tiny-version.ts'
import type { TrafficState } from '../../../gateway/deployments/state.ts'

const postgres = usePostgres()

function deployOf(version: string, basedOn: number | null) {
  const state: TrafficState = {
    targets: [{ version, weight: 1 }],
    canary: null,
    shadow: null,
    fallbacks: [],
    sticky: 'session',
  }
  const actor = { id: null, name: 'ada', via: 'api' as const }
  return {
    model: 'guide',
    action: 'deploy' as const,
    state,
    basedOn,
    restores: null,
    reason: null,
    actor,
  }
}

test('what was live goes on while PostgreSQL is away, and what came meanwhile is seen when it is back', async (t) => {
  const { pool, stop, startAgain } = await startStoppingPostgres(t)
  await migrate(pool)
  const ledger = new Ledger({ pool, announce: async () => {} })
  await ledger.append(deployOf('guide@1', null))
  const { logger, messages } = recordLog()
  const live = await LiveDeployments.open({ pool, logger, pollMs: 20 })
  defer(t, () => live.close())
  const target = () => live.find('guide')?.state.targets[0]?.version
  assert.equal(target(), 'guide@1')
  await stop()
  await live.refresh()
  assert.equal(target(), 'guide@1')
  assert.equal(live.isHeld('guide'), false)
  await startAgain()
  await eventually('it can be written again', () =>
    ledger.append(deployOf('guide@2', 1)).then(
      () => true,
      () => false,
    ),
  )
  await eventually('it is seen', () => target() === 'guide@2')
  assert.ok(messages().some((message) => message.includes("can't be read; what was live goes on")))
})

test('a conversation stays on one version while others are on trial', async (t) => {
  const fleet = await startFleet(t, postgres)
  await addTinyVersion(fleet.dataDir, 'guide', { seed: 1 })
  const { chat, deploy } = await fleet.replica()
  await chat('guide')
  const second = await addTinyVersion(fleet.dataDir, 'guide', { seed: 2 })
  const { status } = await deploy('guide', { action: 'canary', version: second, share: 0.5 })
  assert.equal(status, 200)
  const versions = await Promise.all(
    Array.from({ length: 24 }, async (_, index) => {
      const messages = [{ role: 'user', content: `${index}` }]
      const more = { max_tokens: 1, messages }
      const first = await chat('guide', more)
      // A client sends all of it with every turn, and the time of day in its system prompt.
      const turns = [
        { role: 'system', content: 'It is noon.' },
        ...messages,
        { role: 'assistant', content: 'a' },
        { role: 'user', content: 'b' },
      ]
      const next = await chat('guide', { ...more, messages: turns })
      assert.equal(next.version, first.version)
      return first.version
    }),
  )
  assert.deepEqual(new Set(versions), new Set(['guide@1', second]))
  // A session that is named is what counts then, whatever is said in it.
  const named = await Promise.all(
    ['a', 'b', 'c', 'd'].map((content) =>
      chat(
        'guide',
        { max_tokens: 1, messages: [{ role: 'user', content }] },
        { 'x-headrace-session': 'one' },
      ),
    ),
  )
  assert.equal(new Set(named.map(({ version }) => version)).size, 1)
})
