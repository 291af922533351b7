// What is there to watch with: rules and dashboards, as they are checked in.

import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'

import { parse } from 'yaml'

import { ROOT } from './process.ts'

export interface Rule {
  record?: string
  alert?: string
  expr: string
  for?: string
  labels?: Record<string, string>
  annotations?: Record<string, string>
}

export interface RuleTest {
  name: string
  input_series: { series: string; values: string }[]
  alert_rule_test: { alertname: string; exp_alerts: unknown[] }[]
}

export const PROMETHEUS = join(ROOT, 'prometheus')

function readYaml(path: string): unknown {
  return parse(readFileSync(join(PROMETHEUS, path), 'utf8'))
}

export function readRules(): Rule[] {
  return ['rules/recording.yml', 'rules/alerts.yml'].flatMap((path) =>
    (readYaml(path) as { groups: { rules: Rule[] }[] }).groups.flatMap(({ rules }) => rules),
  )
}

export function ruleTestFiles(): string[] {
  return readdirSync(join(PROMETHEUS, 'tests')).map((name) => join('tests', name))
}

export function readRuleTests(): RuleTest[] {
  return ruleTestFiles().flatMap((path) => (readYaml(path) as { tests: RuleTest[] }).tests)
}

/** Names of the metrics that an expression reads, those of rules included. */
export function metricsIn(expr: string): Set<string> {
  const bare = expr.replaceAll(/"(?:[^"\\]|\\.)*"/g, '""')
  return new Set(
    bare.match(/\b(?:headrace_|gen_ai_|probe_|vllm:|(?:version:|model:)?headrace[:_])[a-z0-9_:]+/g),
  )
}

interface PanelQuery {
  refId: string
  expr?: string
  rawSql?: string
  legendFormat?: string
  format?: string
  instant?: boolean
}

export interface Panel {
  /** of its dashboard */
  board: string
  title: string
  type: string
  description?: string
  gridPos: { x: number; y: number; w: number; h: number }
  repeat?: string
  fieldConfig: {
    defaults: {
      unit?: string
      noValue?: string
      decimals?: number
      max?: number
      thresholds?: { steps: { value: number | null; color: string }[] }
      custom?: {
        drawStyle?: string
        stacking?: { mode: string }
        scaleDistribution?: { type: string }
      }
    }
  }
  options: { legend?: { calcs: string[] } }
  targets: PanelQuery[]
}

interface BoardVariable {
  name: string
  type: string
  query: string | { query: string }
}

export interface Board {
  uid: string
  title: string
  panels: Panel[]
  templating: { list: BoardVariable[] }
  annotations?: { list?: { name: string; target?: { rawSql?: string } }[] }
}

export function readBoards(): Board[] {
  const folder = join(ROOT, 'grafana/dashboards')
  return readdirSync(folder).map(
    (name) => JSON.parse(readFileSync(join(folder, name), 'utf8')) as Board,
  )
}

/** All that draw something. */
export function panelsOf(boards: Board[]): Panel[] {
  return boards.flatMap(({ title, panels }) =>
    panels.filter(({ type }) => type !== 'row').map((panel) => ({ ...panel, board: title })),
  )
}

export interface Chosen {
  model: string
  version: string
  live: string
  canary: string
  /** `30s` */
  rateInterval: string
}

/** An expression as Grafana sends it. */
export function filledIn(expr: string, chosen: Chosen): string {
  return expr
    .replaceAll('$__rate_interval', chosen.rateInterval)
    .replaceAll('$__interval', chosen.rateInterval)
    .replaceAll('model="$model"', `model="${chosen.model}"`)
    .replaceAll(/\$(model|version)\b/g, '.*')
    .replaceAll('$live', chosen.live)
    .replaceAll('$canary', chosen.canary)
}

/** A statement as Grafana sends it, of all projects and models. */
export function filledSql(sql: string, model: string, from: Date, to: Date): string {
  return sql
    .replaceAll(
      /\$__timeFilter\((\w+)\)/g,
      `$1 BETWEEN '${from.toISOString()}' AND '${to.toISOString()}'`,
    )
    .replaceAll('${project:sqlstring}', "SELECT coalesce(project_name, '(none)') FROM report_hours")
    .replaceAll('${model:sqlstring}', "SELECT coalesce(model, '(none)') FROM report_hours")
    .replaceAll("'$model'", `'${model}'`)
}
