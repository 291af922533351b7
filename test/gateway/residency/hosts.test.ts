// Versions on several hosts: where they are placed, how requests are spread, and what becomes of a host that vanishes.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { TestContext } from 'node:test'

import { RuntimeError } from '../../../runtime/client.ts'
import { addRandomVersion, randomPrompt } from '../../support/random-version.ts'
import { openFleet, startHostProcess } from '../../support/residency.ts'
import {
  begin,
  collect,
  eventually,
  fakeRequest,
  startTestRuntime,
  temporaryFolder,
} from '../../support/runtime.ts'
import type { Fleet } from '../../../gateway/residency/fleet.ts'
import type { GenerateRequest } from '../../../runtime/protocol.ts'

const never = new AbortController().signal
const MIB = 2 ** 20

function tokensRequest(id: string, version: string, maxTokens: number): GenerateRequest {
  const prompt = { kind: 'tokens' as const, ids: randomPrompt(12) }
  return { id, version, prompt, sampling: {}, maxTokens, stop: [], ignoreEnd: true }
}

interface Outcome {
  startedMs: number
  hasText: boolean
  error: unknown
}

/** Clients that ask one request after the other until they are stopped. */
function keepAsking(t: TestContext, fleet: Fleet, version: string, clients: number) {
  const outcomes: Outcome[] = []
  const stopped = new AbortController()
  t.after(() => stopped.abort())
  const ask = async (client: number) => {
    for (let n = 0; !stopped.signal.aborted; n++) {
      const outcome: Outcome = { startedMs: performance.now(), hasText: false, error: null }
      try {
        const request = tokensRequest(`${client}-${n}`, version, 20)
        for await (const event of fleet.generate(request, never)) {
          if (event.type === 'delta') outcome.hasText = true
        }
      } catch (error) {
        outcome.error = error
        // What fails at once would otherwise fail without end.
        await new Promise((resolve) => setTimeout(resolve, 10))
      }
      outcomes.push(outcome)
    }
  }
  const asking = Promise.all(Array.from({ length: clients }, (_, client) => ask(client)))
  return {
    outcomes,
    stop: async () => {
      stopped.abort()
      await asking
    },
  }
}

test('a host that is killed under load is routed around, and used again when it is back', async (t) => {
  const dataDir = await temporaryFolder(t)
  const version = await addRandomVersion(dataDir, { name: 'noise' })
  const settings = [0, 1].map((n) => ({
    dataDir,
    address: `unix:${dataDir}/${n}.sock`,
    slots: 4,
    threads: 1,
    drainMs: 1_000,
  }))
  const [doomed] = await Promise.all(settings.map((each) => startHostProcess(t, each)))
  const { fleet, residency, hosts } = openFleet(
    t,
    settings.map(({ address }) => address),
  )
  residency.wanted([version])
  residency.start()
  const serving = () => hosts.filter((host) => host.isUp && host.serves(version)).length
  await eventually('both have what is wanted', () => serving() === 2, 10_000)

  const load = keepAsking(t, fleet, version, 8)
  await eventually('requests are answered', () => load.outcomes.length > 8, 10_000)
  assert.ok(
    hosts.every(({ open }) => open > 0),
    'both are at work',
  )
  await doomed!.kill()
  const killedMs = performance.now()
  const before = load.outcomes.length
  await eventually('the other goes on', () => load.outcomes.length > before + 12, 10_000)

  // The same address again, as a machine that was started anew.
  await startHostProcess(t, settings[0]!)
  await eventually('the version is back on it', () => serving() === 2, 10_000)
  await eventually('it gets requests again', () => hosts[0]!.open > 0, 10_000)
  await load.stop()
  assert.deepEqual(
    load.outcomes.filter(({ startedMs, error }) => startedMs > killedMs && error !== null),
    [],
  )
  const failed = load.outcomes.filter(({ error }) => error !== null)
  for (const { hasText, error } of failed) {
    assert.ok(error instanceof RuntimeError && error.code === 'runtime_unreachable')
    assert.ok(hasText, 'only what had begun to answer fails')
  }
  assert.ok(failed.length <= 8)
})

async function startTwo(t: TestContext, budgets: number[]) {
  const first = await startTestRuntime(t, { memoryBytes: budgets[0] })
  const second = await startTestRuntime(t, { memoryBytes: budgets[1], dataDir: first.dataDir })
  const placesOf = async (version: string) => {
    const all = await Promise.all([first, second].map(({ client }) => client.stats()))
    return all.map(({ engines }) => engines.some((engine) => engine.version === version))
  }
  return { first, second, placesOf, addresses: [first.address, second.address] }
}

test('a version is loaded where it fits; the last word is that it fits nowhere', async (t) => {
  const { first, placesOf, addresses } = await startTwo(t, [50 * MIB, 200 * MIB])
  const { fleet, residency } = openFleet(t, addresses)
  const large = { holdBytes: 100 * MIB }
  const [a, b] = await Promise.all(['a', 'b'].map((name) => first.addVersion(name, large)))
  assert.equal((await residency.canFit(a!)).fits, true)
  await residency.load(a!)
  assert.deepEqual(await placesOf(a!), [false, true])

  residency.wanted([a!])
  await residency.load(a!)
  const fit = await residency.canFit(b!)
  assert.equal(fit.fits, false)
  assert.ok(fit.needBytes > fit.freeBytes)
  assert.deepEqual(
    fit.holders.map(({ version, why }) => [version, why]),
    [[a, 'wanted']],
  )
  assert.equal(await residency.shortage([a!]), null)
  assert.deepEqual(await residency.shortage([b!]), {
    needBytes: fit.needBytes,
    freeBytes: fit.freeBytes,
  })
  await assert.rejects(fleet.load(b!), { code: 'insufficient_memory' })
  await assert.rejects(residency.canFit('nobody@1'), { code: 'version_not_loaded' })
})

test('as many hosts have a version as are asked for, those with the most room first', async (t) => {
  const { first, placesOf, addresses } = await startTwo(t, [300 * MIB, 600 * MIB])
  const version = await first.addVersion('a')
  const { residency } = openFleet(t, addresses, { copies: 1 })
  await residency.load(version)
  assert.deepEqual(await placesOf(version), [false, true])
  const everywhere = openFleet(t, addresses)
  await everywhere.residency.load(version)
  assert.deepEqual(await placesOf(version), [true, true])
})

test('requests go to the host that has the version, and are spread where several have', async (t) => {
  const { first, second, addresses } = await startTwo(t, [600 * MIB, 600 * MIB])
  const version = await first.addVersion('a')
  await second.client.load(version)
  const { fleet } = openFleet(t, addresses)
  await fleet.look()
  await collect(fleet.generate(fakeRequest(version), never))
  assert.equal((await first.client.stats()).engines.length, 0)

  await first.client.load(version)
  await fleet.look()
  const slow = { deltas: 5, everyMs: 40 }
  const running = await Promise.all(
    Array.from({ length: 6 }, () => begin(fleet.generate(fakeRequest(version, slow), never))),
  )
  const shares = await Promise.all(
    [first, second].map(async ({ client }) => (await client.stats()).engines[0]?.running),
  )
  assert.deepEqual(shares, [3, 3])
  await Promise.all(running.map(({ answer }) => answer))
})

test('what is wanted is loaded, comes back when it was ended, and is let go when it is wanted no longer', async (t) => {
  const runtime = await startTestRuntime(t, { idleUnloadMs: 200 })
  const version = await runtime.addVersion('a')
  const { residency, lines } = openFleet(t, [runtime.address])
  residency.wanted([version, 'gone@1'])
  residency.start()
  const engines = async () => (await runtime.client.stats()).engines
  await eventually('it is loaded', async () => (await engines())[0]?.state === 'ready')
  const [{ pid } = { pid: 0 }] = await engines()
  await residency.unload(version)
  await eventually('it is loaded again', async () => {
    const [engine] = await engines()
    return engine?.state === 'ready' && engine.pid !== pid
  })
  assert.match(
    lines.map(({ message }) => message).join('\n'),
    /gone@1 is wanted and can't be loaded/,
  )
  residency.wanted([])
  await eventually('it is let go', async () => (await engines()).length === 0)
})

test('what a gateway kept warm goes when that gateway is gone, and stays while another wants it', async (t) => {
  const runtime = await startTestRuntime(t, { idleUnloadMs: 100 })
  const [a, b] = await Promise.all(['a', 'b'].map((name) => runtime.addVersion(name)))
  const doomed = openFleet(t, [runtime.address], { wantedForMs: 1_500 })
  doomed.residency.follow('kept warm', () => Promise.resolve([a!, b!]))
  doomed.residency.start()
  const other = openFleet(t, [runtime.address])
  other.residency.wanted([b!])
  other.residency.start()
  const ready = async () =>
    (await runtime.client.stats()).engines
      .filter(({ state }) => state === 'ready')
      .map(({ version }) => version)
      .sort()
  await eventually('both are loaded', async () => (await ready()).length === 2)
  // As it is when the process is killed: it says nothing more.
  doomed.residency.close()
  await eventually('only what the other wants is left', async () => (await ready()).length === 1)
  assert.deepEqual(await ready(), [b])
})
