// Who is ended for whom while things change: a host whose memory is read when the test says so.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { TestContext } from 'node:test'

import { Host } from '../../../runtime/host/host.ts'
import { resolveSettings } from '../../../runtime/settings.ts'
import {
  addFakeAdapter,
  addFakeVersion,
  eventually,
  FAKE_ENGINE,
  fakeRequest,
  recordingLogger,
  temporaryFolder,
} from '../../support/runtime.ts'
import type { EngineEvent } from '../../../runtime/engine/messages.ts'
import type { MachineMemory } from '../../../runtime/host/machine-memory.ts'
import type { LoadEvent, RuntimeFailure } from '../../../runtime/protocol.ts'
import type { FakePrompt, FakeScript } from '../../support/fake-engine.ts'

const MIB = 2 ** 20
/** A process is counted as 112 MiB before it is there, and as what it has then: 64 and some 30 of its own. */
const LARGE = { holdBytes: 64 * MIB }
const ONE = 160 * MIB
const PLENTY = { totalBytes: 2 ** 40, freeBytes: 2 ** 40 }

interface Memory {
  read: () => Promise<MachineMemory>
}

async function startHost(
  t: TestContext,
  { memoryBytes = ONE, drainMs = 5_000, idleUnloadMs = 0 } = {},
) {
  const dataDir = await temporaryFolder(t)
  const memory: Memory = { read: () => Promise.resolve(PLENTY) }
  const address = 'http://127.0.0.1:0'
  const { threads, slots, contextTokens, kvBudgetBytes, ...more } = resolveSettings({
    dataDir,
    address,
  })
  const { prefillChunk, batchTokens, maxWaiting, library, device } = more
  const cache = { slots, contextTokens, kvBudgetBytes }
  const host = new Host({
    dataDir,
    engine: { ...cache, threads, prefillChunk, batchTokens, maxWaiting, library, device },
    program: { entry: FAKE_ENGINE, env: process.env, hangMs: 60_000 },
    readMemory: () => memory.read(),
    memoryBytes,
    idleUnloadMs,
    drainMs,
    logger: recordingLogger([]),
  })
  t.after(() => host.drain())
  const load = (version: string) =>
    new Promise<RuntimeFailure | null>((resolve) => {
      host.load({ version }, (event: LoadEvent) => {
        if (event.type === 'ready') resolve(null)
        else if (event.type === 'error') resolve(event.error)
      })
    })
  const ask = (version: string, prompt: FakePrompt = {}) => {
    const { promise, resolve } = Promise.withResolvers<EngineEvent>()
    host.answer(fakeRequest(version, prompt), (event) => {
      if (event.type === 'done' || event.type === 'error') resolve(event)
    })
    return promise
  }
  const add = (name: string, script: FakeScript = LARGE) => addFakeVersion(dataDir, name, script)
  const loaded = async () => (await host.stats()).engines.map(({ version }) => version).sort()
  return { host, dataDir, memory, load, ask, add, loaded }
}

/** Makes the next reading of the memory wait. */
function hold(memory: Memory) {
  const { promise, resolve } = Promise.withResolvers<void>()
  const reading = Promise.withResolvers<void>()
  memory.read = async () => {
    reading.resolve()
    await promise
    return PLENTY
  }
  return { reached: reading.promise, release: resolve }
}

test('one that is asked while it is looked whether it may go is not ended', async (t) => {
  const { memory, load, ask, add, loaded } = await startHost(t, { drainMs: 50 })
  const first = await add('first')
  const second = await add('second')
  await load(first)
  await ask(first)
  const { reached, release } = hold(memory)
  const loading = load(second)
  await reached
  const answer = ask(first, { deltas: 10, everyMs: 30 })
  release()
  const failure = await loading
  assert.deepEqual([failure?.code, failure?.isPassing], ['insufficient_memory', true])
  assert.equal((await answer).type, 'done')
  assert.deepEqual(await loaded(), [first])
})

test('what is being loaded is not promised to another out of what the machine has free', async (t) => {
  const { memory, load, add, loaded } = await startHost(t, { memoryBytes: 10 * ONE })
  // Room for one, and nothing of it is taken before the first has loaded.
  memory.read = () => Promise.resolve({ totalBytes: 2 ** 40, freeBytes: 150 * MIB })
  const first = await add('first', { loadMs: 300 })
  const second = await add('second', { loadMs: 300 })
  const outcomes = await Promise.all([load(first), load(second)])
  assert.deepEqual(
    outcomes.map((failure) => [failure?.code, failure?.isPassing]),
    [
      [undefined, undefined],
      ['insufficient_memory', true],
    ],
  )
  assert.deepEqual(await loaded(), [first])
})

test('the room of one that is being started again is not given away', async (t) => {
  const { host, load, ask, add } = await startHost(t)
  const first = await add('first', { ...LARGE, loadMs: 100 })
  const second = await add('second')
  await load(first)
  host.want({ by: 'a', versions: [first], forMs: 60_000 })
  assert.equal((await ask(first, { crash: 'gone' })).type, 'error')
  assert.equal((await load(second))?.code, 'insufficient_memory')
  await eventually('it is back', async () => {
    const { engines } = await host.stats()
    return engines.some(({ version, state }) => version === first && state === 'ready')
  })
})

test('a base is wanted as long as an adapter in it is, also one that was wanted before it was loaded', async (t) => {
  const { host, dataDir, load, ask, add, loaded } = await startHost(t)
  const base = await add('base')
  const adapter = await addFakeAdapter(dataDir, 'adapter', base)
  host.want({ by: 'a', versions: [adapter], forMs: 60_000 })
  assert.equal(await load(adapter), null)
  await ask(adapter)
  assert.equal((await host.stats()).engines[0]?.isWanted, true)
  assert.equal((await load(await add('other')))?.code, 'insufficient_memory')
  assert.deepEqual(await loaded(), [base])
  await host.unload(adapter)
  assert.equal((await host.stats()).engines[0]?.isWanted, false)
})

test('an adapter of an adapter can be neither loaded nor fitted, its own one neither', async (t) => {
  const { host, dataDir, load, add } = await startHost(t)
  const one = await addFakeAdapter(dataDir, 'one', await add('base'))
  const two = await addFakeAdapter(dataDir, 'two', one)
  const own = await addFakeAdapter(dataDir, 'own', 'own@1')
  for (const version of [two, own]) {
    assert.equal((await load(version))?.code, 'version_unusable')
    const fit = await host.fit(version)
    assert.ok('code' in fit && fit.code === 'version_unusable')
  }
  const fit = await host.fit(one)
  assert.ok('fits' in fit && fit.version === one && fit.fits && !fit.isLoaded)
})

test('a clock that jumps ahead, as when a machine wakes up, ends nothing that is wanted', async (t) => {
  t.mock.timers.enable({ apis: ['Date'], now: Date.now() })
  const { host, load, add, loaded } = await startHost(t, { idleUnloadMs: 60_000 })
  const version = await add('wanted')
  await load(version)
  host.want({ by: 'a', versions: [version], forMs: 15_000 })
  t.mock.timers.setTime(Date.now() + 3_600_000)
  await new Promise((resolve) => setTimeout(resolve, 1_100))
  assert.equal((await host.stats()).engines[0]?.isWanted, true)
  assert.deepEqual(await loaded(), [version])
})

test('a host whose memory can not be read any more, or slowly, still tells how it is', async (t) => {
  const { host, memory } = await startHost(t)
  const { freeBytes } = (await host.stats()).memory
  memory.read = () => Promise.reject(new Error('the driver is busy'))
  assert.equal((await host.stats()).memory.freeBytes, freeBytes)
  const { release } = hold(memory)
  assert.equal((await host.stats()).memory.freeBytes, freeBytes)
  release()
})
