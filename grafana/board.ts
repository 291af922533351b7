// What all dashboards have: uid, time, links to each other, variables.
//
// Knows: the SDK's dashboard. Does not know: panels.

import * as dashboard from '@grafana/grafana-foundation-sdk/dashboard'
import type { Panel } from './panels.ts'

import { POSTGRES, PROMETHEUS } from './queries.ts'

interface Board {
  uid: string
  title: string
  description: string
  /** absent: the last three hours */
  from?: string
}

/** Rows of panels, in order. */
export type Rows = Record<string, Panel[]>

export function board(
  { uid, title, description, from = 'now-3h' }: Board,
  variables: (dashboard.QueryVariableBuilder | dashboard.CustomVariableBuilder)[],
  rows: Rows,
): dashboard.DashboardBuilder {
  const built = new dashboard.DashboardBuilder(title)
    .uid(uid)
    .description(description)
    .tags(['headrace'])
    .readonly()
    .time({ from, to: 'now' })
    .refresh('30s')
    .timezone('browser')
    .tooltip(dashboard.DashboardCursorSync.Crosshair)
    .link(
      new dashboard.DashboardLinkBuilder('Headrace')
        .type(dashboard.DashboardLinkType.Dashboards)
        .tags(['headrace'])
        .includeVars(true)
        .keepTime(true),
    )
    .variables(variables)
  for (const [name, panels] of Object.entries(rows)) {
    built.withRow(new dashboard.RowBuilder(name))
    for (const panel of panels) built.withPanel(panel)
  }
  return built
}

const ALL = { text: 'All', value: '$__all' }

/** One value of a label. */
function labelVariable(name: string, label: string, matchers: string, metric: string) {
  return new dashboard.QueryVariableBuilder(name)
    .label(label)
    .datasource(PROMETHEUS)
    .query({
      query: `label_values(${metric}{${matchers}}, ${name})`,
      refId: 'PrometheusVariableQueryEditor-VariableQuery',
    })
    .refresh(dashboard.VariableRefresh.OnTimeRangeChanged)
    .sort(dashboard.VariableSort.AlphabeticalAsc)
}

/** Several of them; `.*` where all are chosen, so that a long list makes no long query. */
function anyOf(variable: dashboard.QueryVariableBuilder) {
  return variable.multi(true).includeAll(true).allValue('.*').current(ALL)
}

const ANSWERED = 'headrace_requests_total'

/** one model */
export const onlyModelVariable = () => labelVariable('model', 'Model', 'model!=""', ANSWERED)

export const modelVariable = () => anyOf(onlyModelVariable())
export const versionVariable = () =>
  anyOf(labelVariable('version', 'Version', 'model=~"$model", version!=""', ANSWERED))

export function sqlVariable(name: string, label: string, sql: string) {
  return new dashboard.QueryVariableBuilder(name)
    .label(label)
    .datasource(POSTGRES)
    .query(sql)
    .refresh(dashboard.VariableRefresh.OnTimeRangeChanged)
}

/** what stands for a project, or a model, where there is none */
export const NONE = '(none)'

/** of what hours know; all of them where nothing is chosen */
function hoursVariable(name: string, label: string, column: string) {
  const sql = `SELECT DISTINCT coalesce(${column}, '${NONE}') FROM report_hours ORDER BY 1`
  return sqlVariable(name, label, sql).multi(true).includeAll(true).current(ALL)
}

export const projectVariable = () => hoursVariable('project', 'Project', 'project_name')
export const modelOfHoursVariable = () => hoursVariable('model', 'Model', 'model')
