// The command line tells how versions on trial are doing, by asking the server that runs.

import assert from 'node:assert/strict'
import { test } from 'node:test'

import { commandLineOf } from '../support/command-line.ts'
import { usePostgres } from '../support/postgres.ts'
import { saying } from '../support/scripted-backend.ts'
import { startTrialGateway } from '../support/trial-gateway.ts'
import { insertTrialRows, times } from '../support/trials.ts'

const postgres = usePostgres()

test('a canary and a shadow are told of on the command line', async (t) => {
  const gateway = await startTrialGateway(t, postgres)
  const { backend, canaries, chat, deploy, pool, settled, url } = gateway
  const { key } = await gateway.makeKey({ name: 'somebody', role: 'admin' })
  const run = commandLineOf({ HEADRACE_URL: url, HEADRACE_API_KEY: key })

  await assert.rejects(run('canary', 'status', 'guide'), /No version of 'guide' was ever on trial/)
  const guards = { error_rate: 0.02 }
  const canary = { action: 'canary', version: 'guide@2', bake_seconds: 600, guards }
  const { body } = await deploy(canary)
  await insertTrialRows(pool, 'guide', Number(body['id']), [
    ...times(60, {}),
    ...times(55, { version: 'guide@2' }),
  ])
  await canaries.look()
  const status = await run('canary', 'status', 'guide')
  assert.match(status, /^guide@2 is on trial for guide with 5% of the traffic\.\n/)
  assert.match(status, /With that share it answered 55 exchanges, the live version 60\./)
  assert.match(status, /error_rate +0 +0 +1 +1 +0\.005 +kept/)
  assert.match(status, /Next: 25% of the traffic\. Before that: time \d+ of 600\.$/)

  for (const flags of [[], ['--worst', '5']]) {
    assert.equal(
      await run('shadow', 'report', 'guide', ...flags),
      'No shadow has answered anything.',
    )
  }
  await deploy({ action: 'promote' })
  await deploy({ action: 'shadow', version: 'guide@3' })
  backend.script = (_question, _signal, version) =>
    saying(version === 'guide@3' ? 'We open at ten.' : 'We open at nine.')
  const { id } = await chat()
  await settled(1)
  const [heading, row, , , worst] = (await run('shadow', 'report', 'guide', '--worst', '5')).split(
    '\n',
  )
  assert.match(heading!, /^SHADOW +LIVE +COPIES +FAILED +EQUAL +SIMILARITY/)
  assert.match(row!, /^guide@3 +guide@2 +1 +0 +0 +0\.\d+ /)
  assert.match(worst!, new RegExp(`^${id} +0\\.\\d+ `))
  assert.match(await run('canary', 'status', 'guide'), /guide@2 was on trial for guide and ended\b/)
})
