import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { createInterface } from 'node:readline'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import type { TestContext } from 'node:test'

import { createRuntimeClient } from '../../../runtime/client.ts'
import type { FakePrompt } from '../../support/fake-engine.ts'
import {
  addFakeVersion,
  begin,
  collect,
  eventually,
  fakeRequest,
  isAlive,
  temporaryFolder,
} from '../../support/runtime.ts'

const PROGRAM = fileURLToPath(new URL('../../support/runtime-process.ts', import.meta.url))
const never = new AbortController().signal

/** A host in a process of its own, with one version loaded and one request that runs. */
async function startHost(t: TestContext, drainMs: number, prompt: FakePrompt) {
  const dataDir = await temporaryFolder(t)
  const settings = { dataDir, address: `unix:${dataDir}/runtime.sock`, drainMs }
  const host = spawn(process.execPath, [PROGRAM, JSON.stringify(settings)], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  const ended = once(host, 'exit')
  t.after(() => host.kill('SIGKILL'))
  await once(createInterface({ input: host.stdout }), 'line')
  const client = createRuntimeClient(settings)
  t.after(() => client.close())
  const version = await addFakeVersion(dataDir, 'draining')
  await client.load(version)
  const { answer: running } = await begin(client.generate(fakeRequest(version, prompt), never))
  const enginePid = (await client.stats()).engines[0]?.pid
  assert.ok(enginePid)
  return { host, client, version, running, ended, enginePid, dataDir }
}

test('SIGTERM lets running requests finish, refuses new ones, and ends with 0', async (t) => {
  const { host, client, version, running, ended, ...rest } = await startHost(t, 10_000, {
    deltas: 40,
    everyMs: 10,
  })
  host.kill('SIGTERM')
  await eventually('new requests are refused', async () => {
    const refused = collect(client.generate(fakeRequest(version), never))
    return refused.then(
      () => false,
      (error: { code: string }) => error.code === 'draining',
    )
  })
  await assert.rejects(client.load(version), { code: 'draining' })
  const answer = await running
  assert.equal(answer.at(-1)?.type, 'done')
  assert.deepEqual(await ended, [0, null])
  assert.equal(isAlive(rest.enginePid), false)
  assert.equal(existsSync(`${rest.dataDir}/runtime.sock`), false)
})

test('a request that outlives the drain time is told so, and the host ends with 0', async (t) => {
  const { host, running, ended, enginePid } = await startHost(t, 100, {
    deltas: 9_999,
    everyMs: 10,
  })
  host.kill('SIGTERM')
  await assert.rejects(running, { code: 'draining', message: /before the answer ended/ })
  assert.deepEqual(await ended, [0, null])
  assert.equal(isAlive(enginePid), false)
})

test('a host that is killed takes its engines with it', async (t) => {
  const { host, running, enginePid } = await startHost(t, 10_000, { deltas: 9_999, everyMs: 10 })
  host.kill('SIGKILL')
  await assert.rejects(running, { code: 'runtime_unreachable', message: /broke off/ })
  await eventually('the engine is gone', () => !isAlive(enginePid))
})
