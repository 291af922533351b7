// What is said of a deployment's body where it can't be understood.

import assert from 'node:assert/strict'
import { test } from 'node:test'

import { errorOf } from '../../support/admin.ts'
import { usePostgres } from '../../support/postgres.ts'
import { startTrialGateway } from '../../support/trial-gateway.ts'

const postgres = usePostgres()
const CANARY = 'guide@2'

test('what is wrong with a deployment is told of the action that was meant', async (t) => {
  const { deploy } = await startTrialGateway(t, postgres)
  const told = async (body: unknown) => {
    const { status, code, message, param } = errorOf(await deploy(body as object))
    assert.equal(status, 400)
    return [code, param, message]
  }
  assert.deepEqual(await told({ version: CANARY }), [
    'missing_required_parameter',
    'action',
    "Missing required parameter: 'action'.",
  ])
  assert.deepEqual(await told({ action: 'depoly', version: CANARY }), [
    'invalid_value',
    'action',
    `'action' must be one of "deploy", "weights", "canary", "step", "promote", "shadow"; got "depoly".`,
  ])
  assert.deepEqual(await told({ action: 7 }), [
    'invalid_type',
    'action',
    `'action' must be one of "deploy", "weights", "canary", "step", "promote", "shadow"; got 7.`,
  ])
  assert.deepEqual(await told({ action: 'deploy' }), [
    'missing_required_parameter',
    'version',
    "Missing required parameter: 'version'.",
  ])
  assert.deepEqual(await told({ action: 'promote', version: CANARY }), [
    'unknown_parameter',
    'version',
    "Unknown parameter: 'version'.",
  ])
  assert.deepEqual(await told({ action: 'shadow', version: 'guide' }), [
    'invalid_value',
    'version',
    `'version' must be a full id such as support-chat@3, or null; got "guide".`,
  ])
  assert.deepEqual(await told([]), [
    'invalid_type',
    null,
    'The request body must be a JSON object; got an array of 0.',
  ])
})

test('whoever means 5 % by 5 is told how it is written', async (t) => {
  const { deploy } = await startTrialGateway(t, postgres)
  const canary = { action: 'canary', version: CANARY }
  const [share, steps, guards] = await Promise.all([
    deploy({ ...canary, share: 5 }),
    deploy({ ...canary, steps: [0.5, 100] }),
    deploy({ ...canary, guards: { error_rate: 2 } }),
  ])
  assert.deepEqual(
    [share, steps, guards].map((answer) => errorOf(answer).message),
    [
      "'share' must be a share between 0 and 1, where 0.05 is 5 %; got 5.",
      "'steps[1]' must be a share of more than 0 up to 1, where 0.05 is 5 %; got 100.",
      "'guards.error_rate' must be a share from 0 to 1, where 0.01 is one point of a hundred; got 2.",
    ],
  )
})
