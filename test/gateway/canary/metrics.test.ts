import assert from 'node:assert/strict'
import { test } from 'node:test'

import { Registry } from 'prom-client'

import { exposeTrials } from '../../../gateway/metrics/trial-metrics.ts'

test('canaries that were taken back and copies for shadows are on the metrics page', async () => {
  const registry = new Registry()
  const rolledBack = [{ model: 'guide', version: 'guide@2', guard: 'errorRate', count: 2 }]
  const results = { kept: 7, dropped: 1, lost: 0 }
  exposeTrials([registry], { canaries: { rolledBack }, shadows: { results, pending: 3 } })
  const page = await registry.metrics()
  assert.match(
    page,
    /headrace_canary_rollbacks_total\{model="guide",version="guide@2",guard="error_rate"\} 2/,
  )
  assert.match(page, /headrace_shadow_copies_total\{result="kept"\} 7/)
  assert.match(page, /headrace_shadow_copies_total\{result="dropped"\} 1/)
  assert.match(page, /headrace_shadow_copies_pending 3/)
  results.kept++
  assert.match(await registry.metrics(), /result="kept"\} 8/, 'read when scraped')
})
