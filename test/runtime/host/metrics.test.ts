// What Prometheus reads of a runtime host.

import assert from 'node:assert/strict'
import { test } from 'node:test'

import { samples } from '../../support/metrics.ts'
import { startTestRuntime } from '../../support/runtime.ts'

test('a host tells its engines by model and version, and its process, behind its token', async (t) => {
  const token = 'a-token-of-sixteen'
  const runtime = await startTestRuntime(t, { address: 'http://127.0.0.1:0', token })
  const version = await runtime.addVersion('a')
  await runtime.client.load(version)
  const url = `${runtime.address}/metrics`
  assert.equal((await fetch(url)).status, 401)
  const response = await fetch(url, { headers: { authorization: `Bearer ${token}` } })
  assert.match(response.headers.get('content-type') ?? '', /^text\/plain; version=0\.0\.4/)
  const text = await response.text()
  const of = '{model="a",version="a@1"}'
  assert.equal(samples(text, 'headrace_runtime_engine_up').get(of), 1)
  assert.equal(samples(text, 'headrace_runtime_engine_steps_total').get(of), 1)
  assert.equal(samples(text, 'headrace_runtime_engines').get(''), 1)
  assert.ok(samples(text, 'process_resident_memory_bytes').get('')! > 0)
  // Each has its help and its type, once, before its samples.
  const names = [...text.matchAll(/^# TYPE (\S+) (?:gauge|counter)$/gm)].map(([, name]) => name)
  assert.equal(new Set(names).size, names.length)
  for (const [, name] of text.matchAll(/^([a-z_]+)[{ ]/gm)) assert.ok(names.includes(name), name)
})
