// The dashboards as they are checked in: what they are written by, that each panel tells what it is, and that what they and
// the rules ask for is there.

import assert from 'node:assert/strict'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'

import { dashboardFiles } from '../../grafana/dashboards.ts'
import { LogWriterMetrics } from '../../gateway/metrics/log-writer-metrics.ts'
import { HostMetrics } from '../../runtime/host/metrics.ts'
import { createMetrics } from '../support/metrics.ts'
import { ROOT } from '../support/process.ts'
import { PROMETHEUS_IS_ABSENT, run } from '../support/promtool.ts'
import { ScriptedRuntime } from '../support/scripted-runtime.ts'
import { filledIn, metricsIn, panelsOf, readBoards, readRules } from '../support/watching.ts'

const boards = readBoards()
const panels = panelsOf(boards)

const CHOSEN = {
  model: 'guide',
  version: '.*',
  live: 'guide@1',
  canary: 'guide@2',
  rateInterval: '1m',
}

test('the dashboards are those that their source makes; `make dashboards` writes them', () => {
  for (const [name, text] of dashboardFiles()) {
    const checkedIn = readFileSync(join(ROOT, 'grafana/dashboards', name), 'utf8')
    assert.equal(checkedIn, text, `${name} is not what grafana/ makes`)
  }
  assert.equal(dashboardFiles().size, boards.length, 'no file is left of a dashboard that went')
})

test('each panel says what it shows, in which unit, and what it means where it is empty', () => {
  for (const { board, title, type, description, fieldConfig, options, targets } of panels) {
    const where = `${board}: ${title}`
    assert.ok((description ?? '').length > 20, `${where} has no description`)
    assert.ok(fieldConfig.defaults.unit, `${where} has no unit`)
    assert.ok(fieldConfig.defaults.noValue, `${where} says nothing where it is empty`)
    assert.ok(targets.length > 0, `${where} asks for nothing`)
    if (type !== 'timeseries') continue
    assert.ok(options.legend?.calcs.includes('mean'), `${where} has a legend without figures`)
    assert.ok(options.legend?.calcs.includes('max'), `${where} has a legend without figures`)
  }
  const titles = panels.map(({ board, title }) => `${board}: ${title}`)
  assert.equal(new Set(titles).size, titles.length, 'two panels of one dashboard have one title')
})

test('panels fill rows of 24 columns and do not overlap', () => {
  for (const { title, panels } of boards) {
    const taken = new Set<string>()
    for (const { gridPos, title: panel } of panels) {
      const { x, y, w, h } = gridPos
      assert.ok(x + w <= 24, `${title}: ${panel}`)
      for (let column = x; column < x + w; column++) {
        for (let row = y; row < y + h; row++) {
          const cell = `${column}:${row}`
          assert.ok(!taken.has(cell), `${title}: ${panel} lies on another panel`)
          taken.add(cell)
        }
      }
    }
  }
})

test('Prometheus understands what panels ask for', { skip: PROMETHEUS_IS_ABSENT }, (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'headrace-watch-'))
  t.after(() => rmSync(folder, { recursive: true }))
  const rules = panels.flatMap(({ targets }) =>
    targets.flatMap(({ expr }) => (expr === undefined ? [] : [filledIn(expr, CHOSEN)])),
  )
  assert.ok(rules.length > 80)
  const groups = [{ name: 'panels', rules: rules.map((expr, at) => ({ record: `q:${at}`, expr })) }]
  const file = join(folder, 'panels.yml')
  writeFileSync(file, JSON.stringify({ groups }))
  const checked = run('promtool', 'check', 'rules', file)
  assert.ok(checked.isContent, checked.said)
})

/** Who tells them is not of this project: a DCGM exporter, a blackbox exporter. */
const OTHERS = /^(?:DCGM_|probe_)/

test('what rules and panels read is what gateway, runtime and log-writer tell', async (t) => {
  const declared = {
    fileState: () => null,
    storedState: () => ({ problems: [], isReachable: true }),
    certificates: () => [],
  }
  const trials = {
    canaries: { rolledBack: [] },
    shadows: { results: { kept: 0, dropped: 0, lost: 0 }, pending: 0 },
  }
  const deployments = { live: { list: () => [] }, ledger: { counts: () => [] } }
  const metrics = createMetrics({
    runtime: new ScriptedRuntime([]),
    dataDir: tmpdir(),
    declared,
    deployments,
    trials,
    extra: new Set(['gen_ai', 'vllm', 'limits'] as const),
  })
  const host = new HostMetrics()
  t.after(() => {
    metrics.close()
    host.close()
  })
  const stats = await new ScriptedRuntime([]).stats()
  const writer = new LogWriterMetrics({
    written: 0,
    batches: 0,
    refused: 0,
    pending: 0,
    isConnected: true,
    isWriting: true,
  })
  const page = (await metrics.render()) + host.render(stats) + (await writer.text())
  const told = new Set([...page.matchAll(/^# TYPE (\S+) /gm)].map(([, name]) => name!))
  for (const [, histogram] of page.matchAll(/^# TYPE (\S+) histogram$/gm)) {
    for (const part of ['bucket', 'count', 'sum']) told.add(`${histogram}_${part}`)
  }
  const rules = readRules()
  for (const { record } of rules) if (record) told.add(record)

  const asked = new Set([
    ...rules.flatMap(({ expr }) => [...metricsIn(expr)]),
    ...panels.flatMap(({ targets }) => targets.flatMap(({ expr }) => [...metricsIn(expr ?? '')])),
  ])
  assert.ok(asked.size > 60)
  const unknown = [...asked].filter((name) => !told.has(name) && !OTHERS.test(name))
  assert.deepEqual(unknown, [])
})
