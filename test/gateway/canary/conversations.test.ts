import assert from 'node:assert/strict'
import { test } from 'node:test'

import { readFigures } from '../../../gateway/canary/figures.ts'
import { trialOf } from '../../../gateway/canary/trial.ts'
import { listLiveDeployments } from '../../../gateway/db/deployments.ts'
import { GatewayError } from '../../../gateway/errors.ts'
import { usePostgres } from '../../support/postgres.ts'
import { saying } from '../../support/scripted-backend.ts'
import { startTrialGateway } from '../../support/trial-gateway.ts'

const postgres = usePostgres()

test('a conversation stays on one version, and changes it at most once while a canary grows', async (t) => {
  const { chat, deploy } = await startTrialGateway(t, postgres)
  const conversations = Array.from({ length: 30 }, (_, i) => `Question number ${i}`)
  const turn = async (content: string, turns: number) => {
    const more = Array.from({ length: turns }, () => [
      { role: 'assistant', content: 'Hello' },
      { role: 'user', content: 'And then?' },
    ]).flat()
    const { version } = await chat({ messages: [{ role: 'user', content }, ...more] })
    return version
  }
  await deploy({ action: 'canary', version: 'guide@2', share: 0.3, steps: [0.6, 1] })
  const before = await Promise.all(conversations.map((content) => turn(content, 0)))
  const onTrial = before.filter((version) => version === 'guide@2').length
  assert.ok(onTrial > 2 && onTrial < 20, `${onTrial} of 30`)
  assert.deepEqual(await Promise.all(conversations.map((content) => turn(content, 2))), before)

  await deploy({ action: 'step' })
  const after = await Promise.all(conversations.map((content) => turn(content, 3)))
  for (const [i, version] of before.entries()) {
    if (version === 'guide@2') assert.equal(after[i], 'guide@2', 'nobody goes back')
  }
  const grown = after.filter((version) => version === 'guide@2').length
  assert.ok(grown > onTrial && grown < 30, `${grown} of 30`)
})

test('conversations that begin with the same long instructions are told apart by what follows', async (t) => {
  const { chat, deploy } = await startTrialGateway(t, postgres)
  await deploy({ action: 'canary', version: 'guide@2', share: 0.5 })
  const instructions = 'Answer by this handbook. '.repeat(400)
  const ask = async (question: string) => {
    const { version } = await chat({
      messages: [{ role: 'user', content: `${instructions}\n${question}` }],
    })
    return version
  }
  const questions = Array.from({ length: 20 }, (_, i) => `Question number ${i}`)
  const versions = await Promise.all(questions.map(ask))
  assert.deepEqual(new Set(versions), new Set(['guide@1', 'guide@2']))
  assert.deepEqual(await Promise.all(questions.map(ask)), versions)
})

test('a canary that is left alone because it fails has failed whenever it was its turn', async (t) => {
  const { backend, chat, deploy, pool, settled } = await startTrialGateway(t, postgres)
  backend.script = (_question, _signal, version) => {
    if (version === 'guide@2') throw new GatewayError('upstream_error', 'It failed.')
    return saying('Hello')
  }
  await deploy({ action: 'canary', version: 'guide@2', share: 0.5 })
  for (let i = 0; i < 30; i++) {
    const { status, version } = await chat({ messages: [{ role: 'user', content: `Number ${i}` }] })
    assert.deepEqual([status, version], [200, 'guide@1'], 'callers notice nothing')
  }
  await settled(30)
  const trial = trialOf(await listLiveDeployments(pool, 'guide'))
  assert.ok(trial)
  const { canary, live } = await readFigures(pool, trial)
  const asked = backend.questions.length - 30
  assert.equal(asked, 5, 'the breaker opens')
  assert.equal(canary.errors.count, canary.errors.of)
  assert.ok(canary.errors.of > 8, `${canary.errors.of} of 30`)
  assert.deepEqual(live.errors, { count: 0, of: 30 })
})
