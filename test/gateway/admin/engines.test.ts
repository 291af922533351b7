// Versions loaded and unloaded by hand, by the admin API and on the command line, on a real runtime host.

import assert from 'node:assert/strict'
import { hash } from 'node:crypto'
import test from 'node:test'
import type { TestContext } from 'node:test'

import { errorOf, rowsOf, startAdmin } from '../../support/admin.ts'
import { usePostgres } from '../../support/postgres.ts'
import { runHeadrace } from '../../support/process.ts'
import { openFleet } from '../../support/residency.ts'
import {
  addFakeAdapter,
  begin,
  eventually,
  fakeRequest,
  startTestRuntime,
} from '../../support/runtime.ts'
import type { RuntimeSettings } from '../../../runtime/settings.ts'

const postgres = usePostgres()
const never = new AbortController().signal
const MIB = 2 ** 20
const COMMAND_KEY = 'a-key-of-the-command-line'

async function start(
  t: TestContext,
  settings: Partial<RuntimeSettings> = {},
  isCommandLine = false,
) {
  const runtime = await startTestRuntime(t, settings)
  const version = await runtime.addVersion('chat')
  const { residency } = openFleet(t, [runtime.address])
  const versions = {
    resolve: (name: string) => Promise.resolve(/^chat(@1)?$/.test(name) ? { id: version } : null),
  }
  const admin = await startAdmin(t, postgres, {
    settings: isCommandLine ? { adminKeyHash: hash('sha256', COMMAND_KEY, 'buffer') } : {},
    deps: { engines: { residency, versions } },
  })
  const headrace = (...args: string[]) =>
    runHeadrace(t, ['models', ...args], {
      env: { HEADRACE_URL: admin.url, HEADRACE_ADMIN_KEY: COMMAND_KEY },
    })
  return { ...admin, runtime, residency, version, headrace }
}

test('what is loaded by hand is listed with its figures, and each change is in the audit log', async (t) => {
  const { ask, version } = await start(t)
  const loaded = await ask('POST', '/admin/engines/load', { version: 'chat' })
  assert.deepEqual(loaded.body, {
    object: 'engine.loaded',
    version,
    detail: 'chat@1 is loaded.',
  })
  await ask('POST', '/admin/engines/load', { version })

  const { body } = await ask('GET', '/admin/engines')
  const [host] = body['hosts'] as Record<string, unknown>[]
  assert.equal(host?.['name'], 'host-0')
  assert.equal(host?.['up'], true)
  const [engine] = body['data'] as Record<string, unknown>[]
  assert.deepEqual(
    [engine?.['version'], engine?.['state'], engine?.['running'], engine?.['wanted']],
    [version, 'ready', 0, false],
  )
  assert.ok(Number(engine?.['memory_bytes']) > MIB)

  const unloaded = await ask('POST', '/admin/engines/unload', { version })
  assert.equal(unloaded.body['was_loaded'], true)
  const again = await ask('POST', '/admin/engines/unload', { version })
  assert.equal(again.body['was_loaded'], false)
  assert.deepEqual(rowsOf(await ask('GET', '/admin/engines')), [])
  const entries = rowsOf(await ask('GET', '/admin/audit?kind=version'))
  assert.deepEqual(
    entries.map(({ action }) => action),
    ['engine.unload', 'engine.load'],
  )
})

test('one that is wanted or at work is not unloaded by hand unless that is forced, and its answers end', async (t) => {
  const { ask, version, runtime, residency } = await start(t)
  const unload = async (force: boolean) => ask('POST', '/admin/engines/unload', { version, force })
  await residency.load(version)
  const { answer } = await begin(
    runtime.client.generate(fakeRequest(version, { deltas: 10, everyMs: 20 }), never),
  )
  const refused = errorOf(await unload(false))
  assert.deepEqual([refused.status, refused.code], [409, 'version_in_use'])
  assert.match(refused.message, /has 1 requests at work/)
  residency.wanted([version])
  await residency.load(version)
  assert.match(errorOf(await unload(false)).message, /is to stay loaded/)

  const forced = await unload(true)
  assert.deepEqual([forced.body['was_loaded'], forced.body['wanted']], [true, true])
  assert.equal((await answer).at(-1)?.type, 'done')
})

test('what can not be loaded is told in figures, and a load that takes its time how far it is', async (t) => {
  const { ask, runtime, version } = await start(t, { memoryBytes: 20 * MIB })
  const refused = errorOf(await ask('POST', '/admin/engines/load', { version }))
  assert.deepEqual([refused.status, refused.code], [503, 'insufficient_memory'])
  assert.match(
    refused.message,
    /needs 112 MiB, and 20 MiB are free of the 20 MiB .* never fits here/,
  )
  const unknown = errorOf(await ask('POST', '/admin/engines/load', { version: 'other@1' }))
  assert.deepEqual([unknown.status, unknown.code], [404, 'model_not_found'])

  const roomy = await start(t)
  await roomy.runtime.addVersion('chat', { loadMs: 300 })
  const early = await roomy.ask('POST', '/admin/engines/load', { version, wait_seconds: 0.15 })
  assert.deepEqual([early.status, early.body['object']], [202, 'engine.loading'])
  assert.match(String(early.body['detail']), /^chat@1 is being loaded(: loading 50 %)?\.$/)
  assert.equal((await roomy.ask('POST', '/admin/engines/load', { version })).status, 200)
  assert.equal((await roomy.runtime.journal(version)).length, 1)
  assert.equal((await runtime.journal(version)).length, 0)
})

test('adapters are listed with their base, and go by themselves whatever that is needed for', async (t) => {
  const { ask, runtime, version, residency } = await start(t)
  const adapter = await addFakeAdapter(runtime.dataDir, 'tuned', version)
  residency.wanted([version])
  await residency.load(adapter)
  const [engine] = rowsOf(await ask('GET', '/admin/engines'))
  assert.deepEqual([engine?.['version'], engine?.['adapters']], [version, [adapter]])

  // Its base stays, and is at work; it is neither live itself nor in the way of anybody.
  const busy = begin(
    runtime.client.generate(fakeRequest(version, { deltas: 10, everyMs: 20 }), never),
  )
  const unloaded = await ask('POST', '/admin/engines/unload', { version: adapter })
  assert.deepEqual([unloaded.status, unloaded.body['wanted']], [200, false])
  assert.deepEqual(rowsOf(await ask('GET', '/admin/engines'))[0]?.['adapters'], [])
  assert.equal((await (await busy).answer).at(-1)?.type, 'done')

  residency.wanted([adapter])
  await residency.load(adapter)
  for (const kept of [adapter, version]) {
    const refused = errorOf(await ask('POST', '/admin/engines/unload', { version: kept }))
    assert.equal(refused.code, 'version_in_use', kept)
  }
})

test('a gateway without a runtime says so', async (t) => {
  const { ask } = await startAdmin(t, postgres)
  assert.deepEqual(rowsOf(await ask('GET', '/admin/engines')), [])
  const refused = errorOf(await ask('POST', '/admin/engines/load', { version: 'chat' }))
  assert.equal(refused.code, 'runtime_unreachable')
})

test('on the command line versions are loaded, listed and unloaded on the server that runs', async (t) => {
  const { headrace, version, runtime, residency } = await start(t, {}, true)
  assert.equal((await headrace('load', 'chat')).stdout, 'chat@1 is loaded.\n')
  await residency.load(await addFakeAdapter(runtime.dataDir, 'tuned', version))
  const { stdout } = await headrace('ps')
  assert.match(stdout, /^VERSION +STATE +HOST +MEMORY +SLOTS +RUNNING +WAITING +LAST USED +STAYS\n/)
  assert.match(stdout, /^chat@1 +ready +host-0 +\d+ MiB +32 +0 +0 +\d{4}-\S+ +no$/m)
  assert.match(stdout, /^tuned@1 +in chat@1 +host-0( +-){6}$/m)
  assert.match(stdout, /^host-0 +cpu +\d+ MiB +\d+ MiB +\d+ MiB$/m)

  residency.wanted([version])
  await residency.load(version)
  await eventually('it is wanted', async () => (await runtime.client.stats()).engines[0]!.isWanted)
  const refused = await headrace('unload', version)
  assert.equal(refused.code, 1)
  assert.match(refused.stderr, /^headrace: chat@1 is to stay loaded/)
  const forced = await headrace('unload', version, '--force')
  assert.match(forced.stdout, /^chat@1 is unloaded\. It is live or kept warm, and comes back\./)

  const away = await runHeadrace(t, ['models', 'ps'], {
    env: { HEADRACE_URL: 'http://127.0.0.1:1', HEADRACE_ADMIN_KEY: COMMAND_KEY },
  })
  assert.equal(away.code, 1)
  assert.match(away.stderr, /No server can be reached at http:\/\/127\.0\.0\.1:1/)
})
