// Requests that are passed on as they come go by a model's deployment too.

import assert from 'node:assert/strict'
import { test } from 'node:test'

import { ADMIN_KEY } from '../../support/gateway.ts'
import { usePostgres } from '../../support/postgres.ts'
import { ScriptedBackend } from '../../support/scripted-backend.ts'
import { startTrialGateway } from '../../support/trial-gateway.ts'
import type { PassedAnswer } from '../../../gateway/backends/backend.ts'

const postgres = usePostgres()

class PassingBackend extends ScriptedBackend {
  async pass(_request: unknown, model: string | null): Promise<PassedAnswer> {
    const body = Buffer.from(JSON.stringify({ by: model }))
    const headers = { 'content-type': 'application/json' }
    return {
      status: 200,
      headers,
      body: (async function* () {
        yield body
      })(),
      refusal: null,
    }
  }
}

test('pictures are drawn by the versions that a deployment names, each session by one', async (t) => {
  const { url, deploy } = await startTrialGateway(t, postgres, { upstream: new PassingBackend() })
  const draw = async (session: string) => {
    const response = await fetch(`${url}/v1/images/generations`, {
      method: 'POST',
      headers: {
        authorization: `Bearer ${ADMIN_KEY}`,
        'content-type': 'application/json',
        'x-headrace-session': session,
      },
      body: JSON.stringify({ model: 'guide', prompt: 'a mill race' }),
    })
    const { by } = (await response.json()) as { by: string }
    assert.equal(response.headers.get('x-headrace-version'), by)
    return by
  }
  const sessions = Array.from({ length: 20 }, (_, i) => `session-${i}`)
  const drawAll = () => Promise.all(sessions.map(draw))
  await deploy({ action: 'canary', version: 'guide@2', share: 0.5 })
  const onTrial = await drawAll()
  assert.deepEqual(new Set(onTrial), new Set(['guide@1', 'guide@2']))
  assert.deepEqual(await drawAll(), onTrial)
  const targets = ['guide@3', 'guide@4'].map((version) => ({ version, weight: 1 }))
  await deploy({ action: 'weights', targets })
  assert.deepEqual(new Set(await drawAll()), new Set(['guide@3', 'guide@4']))
})
