// What Prometheus reads of engines that run on several hosts.

import assert from 'node:assert/strict'
import { test } from 'node:test'

import { Registry } from 'prom-client'

import { EngineMetrics } from '../../gateway/metrics/engine-metrics.ts'
import { Fleet } from '../../gateway/residency/fleet.ts'
import { FleetHost } from '../../gateway/residency/fleet-host.ts'
import { samples } from '../support/metrics.ts'
import { failure, ScriptedRuntime } from '../support/scripted-runtime.ts'

const LABELS = '{model="guide",version="guide@1"}'

function start() {
  const hosts = [new ScriptedRuntime(['guide@1']), new ScriptedRuntime(['guide@1'])] as const
  const registry = new Registry()
  const fleet = new Fleet(hosts.map((runtime, n) => new FleetHost(`host-${n}`, runtime)))
  const metrics = new EngineMetrics(fleet, [registry])
  const scrape = async () => {
    await metrics.read()
    return registry.metrics()
  }
  return { hosts, scrape }
}

test('a host that goes and comes back adds nothing to what engines counted', async () => {
  const { hosts, scrape } = start()
  const read = async (name: string) => samples(await scrape(), name).get(LABELS)
  const restarts = () => read('headrace_engine_restarts_total')
  hosts[0].engine = { restarts: 1, steps: 500 }
  hosts[1].engine = { restarts: 1, steps: 500 }
  assert.equal(await restarts(), 2)

  hosts[0].statsFailure = failure('runtime_unreachable', 'cut')
  assert.equal(await restarts(), 2, 'a counter that falls has begun anew, to Prometheus')
  hosts[0].statsFailure = null
  assert.equal(await restarts(), 2)
  hosts[0].engine = { restarts: 2, steps: 40 }
  assert.equal(await restarts(), 3)
  assert.equal(await read('headrace_engine_steps_total'), 1_040)
})

test('what a host counted before anybody saw it is no news', async () => {
  const { hosts, scrape } = start()
  const restarts = async () => samples(await scrape(), 'headrace_engine_restarts_total').get(LABELS)
  hosts[0].statsFailure = failure('runtime_unreachable', 'cut')
  hosts[0].engine = { restarts: 3 }
  hosts[1].engine = { restarts: 1 }
  assert.equal(await restarts(), 1)
  hosts[0].statsFailure = null
  assert.equal(await restarts(), 1)
  hosts[0].engine = { restarts: 4 }
  assert.equal(await restarts(), 2)
})

test('a host that hangs does not hide the others', async (t) => {
  const { hosts, scrape } = start()
  t.mock.timers.enable({ apis: ['setTimeout'] })
  hosts[0].stats = () => Promise.withResolvers<never>().promise
  const scraping = scrape()
  // The fleet asks its hosts in a later turn.
  await new Promise((resolve) => setImmediate(resolve))
  t.mock.timers.tick(3_000)
  const text = await scraping
  assert.equal(samples(text, 'headrace_runtime_up').get(''), 1)
  assert.equal(samples(text, 'headrace_engine_up').get(LABELS), 1)
})
