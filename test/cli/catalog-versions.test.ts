// Versions of upstreams, and the end of versions, on the command line: asked of the server that runs.

import assert from 'node:assert/strict'
import { test } from 'node:test'

import { commandLineOf } from '../support/command-line.ts'
import { publishVersion } from '../models/scratch.ts'
import { startCatalog } from '../support/catalog.ts'
import { usePostgres } from '../support/postgres.ts'

const postgres = usePostgres()

test('versions of upstreams are registered, and versions deleted, from the command line', async (t) => {
  const { ask, makeKey, registrar, store, url } = await startCatalog(t, postgres)
  const { key } = await makeKey({ name: 'somebody', role: 'admin' })
  const headrace = commandLineOf({ HEADRACE_URL: url, HEADRACE_API_KEY: key })
  const run = (...args: string[]) => headrace('catalog', ...args)

  await ask('POST', '/admin/catalog/models', { name: 'support' })
  const register = ['register', 'support', '--asks', 'gpt-a', '--draft', '--base-model', 'gpt']
  assert.equal(await run(...register, '--upstream', 'openai'), 'support@1 is in the catalog.')
  const { body } = await ask('GET', '/admin/catalog/models/support/versions/1')
  const { state, upstream, asks, base_model: base } = body
  assert.deepEqual([state, upstream, asks, base], ['draft', 'openai', 'gpt-a', 'gpt'])
  await assert.rejects(run(...register, '--upstream', 'nobody'), /nobody/)
  assert.equal(await run('delete', 'support@1'), 'support@1 is deleted.')
  await assert.rejects(run('delete', 'support@1'), /no version 'support@1'/)

  await ask('POST', '/admin/catalog/models', { name: 'mistake' })
  assert.equal(await run('delete', 'mistake'), 'mistake is deleted.')
  await assert.rejects(run('delete', 'support'), /it has had versions/)

  await publishVersion(store, 'guide')
  await publishVersion(store, 'guide')
  await registrar.sync()
  await assert.rejects(run('delete', 'guide@2'), /it is the newest version of guide/)
  assert.equal(await run('delete', 'guide@1'), 'guide@1 is deleted.')
  assert.equal(await store.resolve('guide@1'), null)
})
