// A server without a model of its own.

import assert from 'node:assert/strict'
import { readdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import test from 'node:test'

import { makeFolder } from '../support/folder.ts'
import { processesOf, startHeadrace } from '../support/process.ts'
import { ScriptedUpstream } from '../support/scripted-upstream.ts'
import { chatBody } from '../support/openai-wire.ts'

test('a gateway over upstreams alone fetches nothing, needs no runtime, and is ready with the first declaration', async (t) => {
  const upstream = await ScriptedUpstream.start(t)
  upstream.script = (exchange) => exchange.json(200, chatBody({ content: 'Paris.' }))
  const dataDir = await makeFolder(t)
  const file = join(dataDir, 'declared.yaml')
  await writeFile(file, '{}')
  const server = startHeadrace(t, ['gateway'], {
    env: {
      HEADRACE_PORT: '0',
      HEADRACE_DATA_DIR: dataDir,
      HEADRACE_CONFIG: file,
      HEADRACE_DEFAULT_MODEL: 'none',
      // What would fetch something could reach nothing.
      HF_ENDPOINT: 'http://127.0.0.1:1',
    },
  })
  const [, url] = await server.says(/the gateway listens at (http:[^"]+)"/)
  await server.says(/Model {2}none/)

  const early = await fetch(`${url}/readyz`)
  assert.equal(early.status, 503)
  assert.equal(((await early.json()) as { phase: string }).phase, 'undeclared')

  const declaration = {
    upstreams: { there: { api: 'openai', base_url: `${upstream.url}/v1` } },
    models: { chat: { targets: [{ upstream: 'there', model: 'm' }] } },
  }
  await writeFile(file, JSON.stringify(declaration))
  await server.says(/what is declared has changed/)
  const ready = await fetch(`${url}/readyz`)
  assert.equal(ready.status, 200)
  assert.deepEqual(await ready.json(), {
    status: 'ready',
    phase: 'ready',
    detail: '1 model answers over upstreams; there is no local one.',
    progress: 1,
    local_version: null,
    declared_models: 1,
  })

  const key = (await readFile(join(dataDir, 'admin-key'), 'utf8')).trim()
  const ask = (model: string) =>
    fetch(`${url}/v1/chat/completions`, {
      method: 'POST',
      headers: { authorization: `Bearer ${key}`, 'content-type': 'application/json' },
      body: JSON.stringify({ model, messages: [{ role: 'user', content: 'Hi' }] }),
    })
  assert.equal((await ask('chat')).status, 200)
  const unknown = await ask('smollm2-135m-instruct')
  assert.equal(unknown.status, 404)
  assert.match(await unknown.text(), /The model 'smollm2-135m-instruct' does not exist/)
  assert.doesNotMatch(await (await fetch(`${url}/metrics`)).text(), /headrace_runtime_up/)

  const running = await processesOf(dataDir)
  assert.deepEqual(
    running.filter((command) => / (runtime|models) /.test(command)),
    [],
  )
  // The library's own name, and no model.
  assert.deepEqual(await readdir(join(dataDir, 'models')), ['.library'])
  server.kill('SIGTERM')
  assert.equal(await server.ended, 0)
})
