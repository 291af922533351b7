// Which versions a host keeps: its budget of memory, what gateways want, and idle time.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'

import { RuntimeError } from '../../../runtime/client.ts'
import { randomSource } from '../../support/random-checkpoint.ts'
import {
  begin,
  collect,
  eventually,
  fakeRequest,
  isAlive,
  startTestRuntime,
} from '../../support/runtime.ts'
import type { TestRuntime } from '../../support/runtime.ts'

const never = new AbortController().signal
const MIB = 2 ** 20
/** A process is counted as 112 MiB before it is there, and as what it has then: 64 and some 30 of its own. */
const LARGE = { holdBytes: 64 * MIB }
const ONE = 160 * MIB

async function versionsOf({ client }: TestRuntime): Promise<string[]> {
  const { engines } = await client.stats()
  return engines.filter(({ state }) => state === 'ready').map(({ version }) => version)
}

test('what does not fit makes the least recently used go, never one that is wanted or at work', async (t) => {
  const runtime = await startTestRuntime(t, { memoryBytes: 330 * MIB })
  const { client } = runtime
  const [a, b, c, d] = await Promise.all(
    ['a', 'b', 'c', 'd'].map((name) => runtime.addVersion(name, LARGE)),
  )
  for (const version of [a!, b!, c!]) {
    await client.load(version)
    await collect(client.generate(fakeRequest(version), never))
  }
  await collect(client.generate(fakeRequest(a!), never))
  await client.load(d!)
  const loaded = await versionsOf(runtime)
  assert.ok(loaded.includes(d!))
  assert.ok(!loaded.includes(b!), `the one that was used first is gone: ${loaded.join(', ')}`)
})

test('a load that has no room is refused in figures, before anything is touched', async (t) => {
  const runtime = await startTestRuntime(t, { memoryBytes: ONE })
  const { client } = runtime
  const wanted = await runtime.addVersion('wanted', LARGE)
  const other = await runtime.addVersion('other', LARGE)
  await client.load(wanted)
  await client.want({ by: 'a', versions: [wanted], forMs: 60_000 })
  const fit = await client.fit(other)
  assert.deepEqual([fit.fits, fit.isLoaded, fit.evicts], [false, false, []])
  assert.deepEqual(
    fit.holders.map(({ version, why }) => [version, why]),
    [[wanted, 'wanted']],
  )
  await assert.rejects(client.load(other), (error: unknown) => {
    assert.ok(error instanceof RuntimeError)
    assert.equal(error.code, 'insufficient_memory')
    assert.equal(error.failure.isPassing, undefined)
    assert.match(
      error.message,
      /^Version 'other@1' needs 112 MiB, and \d+ MiB are free of the 160 MiB that .*: wanted@1 has \d+ MiB \(it is to stay\)\.$/,
    )
    return true
  })
  assert.equal((await runtime.journal(other)).length, 0)
  assert.deepEqual(await versionsOf(runtime), [wanted])
})

test('one that is at work is not ended for another, and whoever asks is told that it passes', async (t) => {
  const runtime = await startTestRuntime(t, { memoryBytes: ONE })
  const { client } = runtime
  const busy = await runtime.addVersion('busy', LARGE)
  const other = await runtime.addVersion('other', LARGE)
  await client.load(busy)
  const { answer } = await begin(
    client.generate(fakeRequest(busy, { deltas: 20, everyMs: 10 }), never),
  )
  await assert.rejects(client.load(other), (error: unknown) => {
    assert.ok(error instanceof RuntimeError)
    assert.equal(error.failure.isPassing, true)
    assert.match(error.message, /busy@1 has \d+ MiB \(it is at work\)/)
    return true
  })
  assert.equal((await answer).at(-1)?.type, 'done')
  await client.load(other)
  assert.deepEqual(await versionsOf(runtime), [other])
})

test('two loads at once are not promised the same room', async (t) => {
  const runtime = await startTestRuntime(t, { memoryBytes: ONE })
  const versions = await Promise.all(
    ['a', 'b'].map((name) => runtime.addVersion(name, { ...LARGE, loadMs: 50 })),
  )
  const outcomes = await Promise.allSettled(versions.map((version) => runtime.client.load(version)))
  assert.deepEqual(outcomes.map(({ status }) => status).sort(), ['fulfilled', 'rejected'])
  assert.equal((await runtime.client.stats()).engines.length, 1)
})

test('a load that may not push anybody out does not', async (t) => {
  const runtime = await startTestRuntime(t, { memoryBytes: ONE })
  const idle = await runtime.addVersion('idle', LARGE)
  const other = await runtime.addVersion('other', LARGE)
  await runtime.client.load(idle)
  await collect(runtime.client.generate(fakeRequest(idle), never))
  await assert.rejects(runtime.client.load(other, undefined, { mayEvict: false }), {
    code: 'insufficient_memory',
  })
  assert.deepEqual((await runtime.client.fit(other)).evicts, [idle])
  await runtime.client.load(other)
  assert.deepEqual(await versionsOf(runtime), [other])
})

test('what nobody wants is unloaded when nobody has used it for a time, and its process is gone', async (t) => {
  const runtime = await startTestRuntime(t, { idleUnloadMs: 1_000 })
  const { client } = runtime
  const [wanted, idle] = await Promise.all(
    ['wanted', 'idle'].map(async (name) => {
      const version = await runtime.addVersion(name)
      await client.load(version)
      await collect(client.generate(fakeRequest(version), never))
      return version
    }),
  )
  await client.want({ by: 'a', versions: [wanted!], forMs: 60_000 })
  const { engines } = await client.stats()
  const { pid, lastUsedAt } = engines.find(({ version }) => version === idle)!
  assert.ok(Date.now() - lastUsedAt < 2_000)
  await eventually('the idle one is gone', async () => !(await versionsOf(runtime)).includes(idle!))
  assert.equal(isAlive(pid!), false)
  assert.deepEqual(await versionsOf(runtime), [wanted])
})

test('what several gateways want counts together, until they no longer say so', async (t) => {
  const runtime = await startTestRuntime(t, { idleUnloadMs: 100 })
  const { client } = runtime
  const version = await runtime.addVersion('shared')
  const isWanted = async () => (await client.stats()).engines[0]?.isWanted
  await client.load(version)
  await collect(client.generate(fakeRequest(version), never))
  await client.want({ by: 'a', versions: [version], forMs: 60_000 })
  // This one dies, and says nothing more.
  await client.want({ by: 'b', versions: [version], forMs: 300 })
  await client.want({ by: 'a', versions: [], forMs: 60_000 })
  assert.equal(await isWanted(), true)
  await eventually('it is gone', async () => (await client.stats()).engines.length === 0)
})

test('figures say what the host has, and what is left', async (t) => {
  const runtime = await startTestRuntime(t, { memoryBytes: ONE })
  await runtime.client.load(await runtime.addVersion('a'))
  const { device, memory } = await runtime.client.stats()
  assert.equal(device, 'cpu')
  assert.equal(memory.budgetBytes, ONE)
  assert.ok(memory.usedBytes > 5 * MIB && memory.usedBytes < ONE)
  assert.ok(memory.freeBytes > 0 && memory.freeBytes < memory.totalBytes)
})

test('whoever loads, unloads and asks at once, all of it ends, and no process is left over', async (t) => {
  const runtime = await startTestRuntime(t, { memoryBytes: 2 * ONE })
  const { client } = runtime
  const versions = await Promise.all(
    ['a', 'b', 'c'].map((name) => runtime.addVersion(name, { ...LARGE, loadMs: 5 })),
  )
  const random = randomSource(3)
  const pick = <T>(items: readonly T[]) => items[Math.floor(((random() + 1) / 2) * items.length)]!
  const acts = [
    (version: string) => client.load(version),
    (version: string) => client.load(version),
    (version: string) => client.unload(version),
    (version: string) => collect(client.generate(fakeRequest(version, { everyMs: 2 }), never)),
    (version: string) => client.fit(version),
  ]
  const outcomes = await Promise.allSettled(
    Array.from({ length: 60 }, async (_, n) => {
      await sleep(n * 15)
      await pick(acts)(pick(versions))
    }),
  )
  const refusals = outcomes.flatMap((one) =>
    one.status === 'rejected' ? [(one.reason as RuntimeError).code] : [],
  )
  const allowed = ['version_not_loaded', 'insufficient_memory']
  assert.deepEqual(
    refusals.filter((code) => !allowed.includes(code)),
    [],
  )
  await Promise.all(versions.map((version) => client.unload(version)))
  assert.deepEqual((await client.stats()).engines, [])
  const journals = await Promise.all(versions.map((version) => runtime.journal(version)))
  const starts = journals.flat().filter(({ event }) => event === 'start')
  assert.ok(starts.length > 0)
  for (const { pid } of starts) assert.equal(isAlive(pid), false)
})
