// A server whose own model is answered by an upstream: no folder and no engine is waited for.

import assert from 'node:assert/strict'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import test from 'node:test'

import { makeFolder } from '../support/folder.ts'
import { chatBody } from '../support/openai-wire.ts'
import { startHeadrace } from '../support/process.ts'
import { eventually } from '../support/runtime.ts'
import { ScriptedUpstream } from '../support/scripted-upstream.ts'

const KEY = 'hr_of_a_test_and_of_nobody_else_at_all_'

test('a server is ready as soon as an upstream answers for its own model', async (t) => {
  const upstream = await ScriptedUpstream.start(t)
  upstream.script = (exchange) => exchange.json(200, chatBody({ content: 'Paris.' }))
  const dataDir = await makeFolder(t)
  const file = join(dataDir, 'declared.yaml')
  const there = { api: 'openai', base_url: `${upstream.url}/v1`, key: 'sk-test' }
  await writeFile(file, JSON.stringify({ upstreams: { there } }))
  const server = startHeadrace(t, ['gateway'], {
    env: {
      HEADRACE_PORT: '0',
      HEADRACE_DATA_DIR: dataDir,
      HEADRACE_CONFIG: file,
      HEADRACE_ADMIN_KEY: KEY,
      HEADRACE_DEFAULT_MODEL: 'support',
      // Nobody listens there.
      RUNTIME_URLS: 'http://127.0.0.1:1',
    },
  })
  const [, url] = await server.says(/the gateway listens at (http:[^"]+)"/)
  const ask = async (path: string, body?: object) => {
    const response = await fetch(url + path, {
      method: body ? 'POST' : 'GET',
      headers: { authorization: `Bearer ${KEY}`, 'content-type': 'application/json' },
      body: body && JSON.stringify(body),
    })
    return { status: response.status, body: (await response.json()) as Record<string, unknown> }
  }
  await server.says(/There is no version of support/)
  assert.equal((await ask('/readyz')).status, 503)

  await ask('/admin/catalog/models', { name: 'support' })
  await ask('/admin/catalog/models/support/versions', { upstream: 'there', asks: 'gpt-a' })
  const deployment = { action: 'deploy', version: 'support@1' }
  const deployed = await ask('/admin/models/support/deployments', deployment)
  assert.equal(deployed.status, 200, JSON.stringify(deployed.body))
  await server.says(/Model {2}support@1, over the upstream there/)
  await eventually(
    'it is counted',
    async () => (await ask('/readyz')).body['declared_models'] === 1,
  )
  const { status, body } = await ask('/readyz')
  assert.deepEqual(
    [status, body['detail'], body['local_version']],
    [200, 'support@1 answers over the upstream there.', null],
  )
  const messages = [{ role: 'user', content: 'Hi' }]
  assert.equal((await ask('/v1/chat/completions', { model: 'support', messages })).status, 200)
  server.kill('SIGTERM')
  assert.equal(await server.ended, 0)
})
