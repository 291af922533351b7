// Where panels read, and what is the same in most of their questions.
//
// Knows: datasources, PromQL, SQL. Does not know: panels.

import type { Builder, Dataquery } from '@grafana/grafana-foundation-sdk/cog'
import * as prometheus from '@grafana/grafana-foundation-sdk/prometheus'

/** uids of provisioning/datasources */
export const PROMETHEUS = { type: 'prometheus', uid: 'headrace-prometheus' }
export const POSTGRES = { type: 'grafana-postgresql-datasource', uid: 'headrace-postgres' }

/** the versions that are chosen */
export const CHOSEN = 'model=~"$model", version=~"$version"'

export interface PromQuery {
  expr: string
  /** `{{version}}` and the like; of a table's column its name */
  legend: string
}

export interface SqlQuery {
  sql: string
  /** `table`, or a row for each time and series: time, metric, value */
  format?: 'table' | 'time_series'
}

/** What happened in a second, by these labels. */
export function rate(metric: string, matchers: string, by: string): string {
  return `sum by (${by}) (rate(${metric}{${matchers}}[$__rate_interval]))`
}

/** What happened in the stretch of each bar, by these labels; bars are told their least stretch (panels.ts). */
export function increase(metric: string, matchers: string, by: string): string {
  return `sum by (${by}) (increase(${metric}{${matchers}}[$__interval]))`
}

export function quantile(share: number, histogram: string, matchers: string, by: string): string {
  return `histogram_quantile(${share}, ${rate(`${histogram}_bucket`, matchers, `${by}, le`)})`
}

/** Of what engines say through every gateway, the largest is as good as any. */
export function engine(figure: string, matchers = CHOSEN): string {
  return `max by (model, version) (headrace_engine_${figure}{${matchers}})`
}

export function engineRate(figure: string, matchers = CHOSEN): string {
  return `max by (model, version) (rate(headrace_engine_${figure}{${matchers}}[$__rate_interval]))`
}

/** One share of another, where there is another. */
export function share(part: string, whole: string): string {
  return `${part} / (${whole} > 0)`
}

/** Of a version's exchanges that were completed or failed, those that failed. */
export function failures(matchers: string, by: string): string {
  return share(
    rate('headrace_requests_total', `${matchers}, outcome="failed"`, by),
    rate('headrace_requests_total', `${matchers}, outcome=~"completed|failed"`, by),
  )
}

export function promQuery(
  { expr, legend }: PromQuery,
  index: number,
  how: 'range' | 'instant' | 'table' | 'heatmap',
): Builder<Dataquery> {
  const query = new prometheus.DataqueryBuilder()
    .refId(String.fromCodePoint(65 + index))
    .datasource(PROMETHEUS)
    .expr(expr)
    .legendFormat(legend)
  if (how === 'heatmap') return query.range().format(prometheus.PromQueryFormat.Heatmap)
  if (how === 'table') return query.instant().format(prometheus.PromQueryFormat.Table)
  return how === 'instant' ? query.instant() : query.range()
}

/** The SDK has no builder for PostgreSQL's. */
export function sqlQuery({ sql, format = 'table' }: SqlQuery, index: number): Builder<Dataquery> {
  return {
    build: () => ({
      refId: String.fromCodePoint(65 + index),
      datasource: POSTGRES,
      editorMode: 'code',
      format,
      rawQuery: true,
      rawSql: sql.trim(),
      _implementsDataqueryVariant() {},
    }),
  }
}
