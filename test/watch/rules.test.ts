// That the rules are what Prometheus understands, that each alert fires and doesn't, and that somebody who is woken by one is
// told what to do.

import assert from 'node:assert/strict'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'

import { ALERTMANAGER_IS_ABSENT, PROMETHEUS_IS_ABSENT, run } from '../support/promtool.ts'
import { ROOT } from '../support/process.ts'
import {
  panelsOf,
  PROMETHEUS,
  readBoards,
  readRules,
  readRuleTests,
  ruleTestFiles,
} from '../support/watching.ts'

const alerts = readRules().filter(({ alert }) => alert !== undefined)

test('Prometheus takes the rules and the configuration', { skip: PROMETHEUS_IS_ABSENT }, (t) => {
  const rules = run('promtool', 'check', 'rules', join(PROMETHEUS, 'rules/alerts.yml'))
  assert.ok(rules.isContent, rules.said)
  // Credentials are mounted: here are files that are there.
  const folder = mkdtempSync(join(tmpdir(), 'headrace-watch-'))
  t.after(() => rmSync(folder, { recursive: true }))
  const given = readFileSync(join(PROMETHEUS, 'prometheus.yml'), 'utf8')
  const file = join(folder, 'prometheus.yml')
  const here = given
    .replaceAll(/\/run\/secrets\/[a-z-]+/g, '/dev/null')
    .replace('rules/*.yml', join(PROMETHEUS, 'rules/*.yml'))
  writeFileSync(file, here)
  const config = run('promtool', 'check', 'config', file)
  assert.ok(config.isContent, config.said)
  assert.match(config.said, /2 rule files found/)
})

test('Alertmanager takes its configuration', { skip: ALERTMANAGER_IS_ABSENT }, () => {
  const checked = run('amtool', 'check-config', join(PROMETHEUS, 'alertmanager.yml'))
  assert.ok(checked.isContent, checked.said)
  const route = (labels: string[]) =>
    run(
      'amtool',
      'config',
      'routes',
      'test',
      `--config.file=${join(PROMETHEUS, 'alertmanager.yml')}`,
      ...labels,
    ).stdout.trim()
  assert.equal(route(['severity=page', 'alertname=HeadraceEngineRestarts']), 'on-call')
  assert.equal(route(['severity=ticket', 'alertname=HeadraceLogLags']), 'tickets')
  assert.equal(route(['severity=ticket', 'alertname=HeadraceBudgetNearlySpent']), 'budgets')
})

for (const file of ruleTestFiles()) {
  test(`${file}: alerts fire when they have to`, { skip: PROMETHEUS_IS_ABSENT }, () => {
    const tested = run('promtool', 'test', 'rules', join(PROMETHEUS, file))
    assert.ok(tested.isContent, tested.said)
  })
}

test('each alert is tested in both directions', () => {
  const tests = readRuleTests()
  for (const { alert } of alerts) {
    const its = tests.find(({ name }) => name === alert)
    assert.ok(its, `${alert} has no test`)
    const fires = its.alert_rule_test.flatMap(({ exp_alerts }) => exp_alerts).length
    assert.ok(fires > 0, `${alert} never fires in its test`)
    const subjects = new Set(
      its.input_series.map(
        ({ series }) => /(?:version|instance|name|upstream|model)="[^"]*"/.exec(series)?.[0],
      ),
    )
    const isSilentOnce = its.alert_rule_test.some(({ exp_alerts }) => exp_alerts.length === 0)
    assert.ok(isSilentOnce || subjects.size > fires, `${alert} fires for all that is in its test`)
  }
})

test('each alert says what it is about, how urgent it is, and where its section is', () => {
  const runbooks = readFileSync(join(ROOT, 'docs/runbooks.md'), 'utf8')
  const sections = [...runbooks.matchAll(/^## (\w+)$/gm)].map(([, name]) => name)
  assert.deepEqual(
    new Set(sections),
    new Set(alerts.map(({ alert }) => alert)),
    'a section for each alert, and no other',
  )
  for (const { alert, labels, annotations } of alerts) {
    assert.match(labels?.['severity'] ?? '', /^(page|ticket)$/, alert)
    const { summary, description, runbook_url } = annotations ?? {}
    assert.ok(summary && description, alert)
    assert.equal(runbook_url, `docs/runbooks.md#${alert?.toLowerCase()}`)
  }
  for (const section of runbooks.split(/^## /m).slice(1)) {
    for (const part of ['**Means**', '**Look**', '**']) assert.ok(section.includes(part), section)
  }
})

test('each panel that a runbook sends somebody to is on a dashboard', () => {
  const titles = new Set(panelsOf(readBoards()).map(({ title }) => title))
  const runbooks = readFileSync(join(ROOT, 'docs/runbooks.md'), 'utf8')
  const named = [...runbooks.matchAll(/(?<![\w`])_([A-Z][^_]+)_(?![\w`])/g)].map(([, name]) =>
    name!.replaceAll(/\s+/g, ' '),
  )
  assert.ok(named.length > 5)
  assert.deepEqual(
    named.filter((name) => !titles.has(name)),
    [],
  )
})
