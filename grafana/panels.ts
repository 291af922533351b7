// Panels as this project draws them: one way to draw lines, figures, heatmaps and tables, and all that every panel has.
//
// Knows: how it looks. Does not know: what is asked.

import * as bargauge from '@grafana/grafana-foundation-sdk/bargauge'
import type { Builder } from '@grafana/grafana-foundation-sdk/cog'
import * as common from '@grafana/grafana-foundation-sdk/common'
import * as dashboard from '@grafana/grafana-foundation-sdk/dashboard'
import * as heatmap from '@grafana/grafana-foundation-sdk/heatmap'
import * as stat from '@grafana/grafana-foundation-sdk/stat'
import * as table from '@grafana/grafana-foundation-sdk/table'
import * as timeseries from '@grafana/grafana-foundation-sdk/timeseries'

import { POSTGRES, PROMETHEUS, promQuery, sqlQuery } from './queries.ts'
import type { PromQuery, SqlQuery } from './queries.ts'

export type Panel = Builder<dashboard.Panel>

interface About {
  title: string
  /** what it shows, and what to think of it; for whoever looks at it for the first time, at night */
  description: string
  /** as Grafana calls it */
  unit: string
  /** what it says where there is nothing */
  empty: string
  /** of 24 columns */
  span?: number
  height?: number
  decimals?: number
  min?: number
  max?: number
  /** from which value on it is orange, and red */
  warn?: number
  bad?: number
}

interface Lines extends About {
  queries?: PromQuery[]
  sql?: SqlQuery
  /** parts of a whole */
  isStacked?: boolean
  /** things that are counted, not measured all the time */
  isBars?: boolean
  /** seconds over several powers of ten */
  isLogarithmic?: boolean
  /** states hold until the next one */
  isSteps?: boolean
  /** of series whose names mean something */
  colours?: Record<string, string>
}

const LINES_HEIGHT = 8
const STAT_HEIGHT = 4

function thresholds({ warn, bad }: About): dashboard.ThresholdsConfigBuilder {
  const steps: dashboard.Threshold[] = [{ value: null, color: 'green' }]
  if (warn !== undefined) steps.push({ value: warn, color: 'orange' })
  if (bad !== undefined) steps.push({ value: bad, color: 'red' })
  return new dashboard.ThresholdsConfigBuilder()
    .mode(dashboard.ThresholdsMode.Absolute)
    .steps(steps)
}

export function lines(about: Lines): Panel {
  const { queries, sql, span = 12, height = LINES_HEIGHT } = about
  const hasLimit = about.warn !== undefined || about.bad !== undefined
  const panel = new timeseries.PanelBuilder()
    .title(about.title)
    .description(about.description)
    .datasource(sql ? POSTGRES : PROMETHEUS)
    .targets(
      sql
        ? [sqlQuery({ format: 'time_series', ...sql }, 0)]
        : (queries ?? []).map((query, index) => promQuery(query, index, 'range')),
    )
    .unit(about.unit)
    .noValue(about.empty)
    .span(span)
    .height(height)
    .lineWidth(about.isBars ? 1 : 2)
    .fillOpacity(about.isBars ? 70 : about.isStacked ? 25 : 8)
    .gradientMode(common.GraphGradientMode.Opacity)
    .showPoints(common.VisibilityMode.Never)
    .drawStyle(about.isBars ? common.GraphDrawStyle.Bars : common.GraphDrawStyle.Line)
    .legend(
      new common.VizLegendOptionsBuilder()
        .displayMode(common.LegendDisplayMode.Table)
        .placement(common.LegendPlacement.Bottom)
        .showLegend(true)
        .calcs(about.isBars ? ['sum', 'mean', 'max'] : ['lastNotNull', 'mean', 'max'])
        .sortBy('Max')
        .sortDesc(true),
    )
    .tooltip(
      new common.VizTooltipOptionsBuilder()
        .mode(common.TooltipDisplayMode.Multi)
        .sort(common.SortOrder.Descending),
    )
    .thresholds(thresholds(about))
    .thresholdsStyle(
      new common.GraphThresholdsStyleConfigBuilder().mode(
        hasLimit ? common.GraphThresholdsStyleMode.Dashed : common.GraphThresholdsStyleMode.Off,
      ),
    )
  if (about.isStacked) {
    panel.stacking(new common.StackingConfigBuilder().mode(common.StackingMode.Normal).group('A'))
  }
  // Each bar is what happened since the one before it: shorter than a few scrapes there would be nothing to be seen.
  if (about.isBars && !sql) panel.interval('1m')
  if (about.isSteps) panel.lineInterpolation(common.LineInterpolation.StepAfter)
  if (about.isLogarithmic) {
    panel.scaleDistribution(
      new common.ScaleDistributionConfigBuilder().type(common.ScaleDistribution.Log).log(10),
    )
  } else {
    panel.min(about.min ?? 0)
  }
  if (about.max !== undefined) panel.max(about.max)
  if (about.decimals !== undefined) panel.decimals(about.decimals)
  for (const [name, fixedColor] of Object.entries(about.colours ?? {})) {
    panel.overrideByName(name, [{ id: 'color', value: { mode: 'fixed', fixedColor } }])
  }
  return panel
}

interface Figure extends About {
  query?: PromQuery
  sql?: SqlQuery
}

/** One figure, with its course behind it. */
export function figure(about: Figure): Panel {
  const { query, sql, span = 4, height = STAT_HEIGHT } = about
  const panel = new stat.PanelBuilder()
    .title(about.title)
    .description(about.description)
    .datasource(sql ? POSTGRES : PROMETHEUS)
    .targets(sql ? [sqlQuery(sql, 0)] : query ? [promQuery(query, 0, 'range')] : [])
    .unit(about.unit)
    .noValue(about.empty)
    .span(span)
    .height(height)
    .graphMode(sql ? common.BigValueGraphMode.None : common.BigValueGraphMode.Area)
    .colorMode(common.BigValueColorMode.Value)
    .reduceOptions(new common.ReduceDataOptionsBuilder().calcs(['lastNotNull']))
    .thresholds(thresholds(about))
  if (about.decimals !== undefined) panel.decimals(about.decimals)
  if (about.min !== undefined) panel.min(about.min)
  if (about.max !== undefined) panel.max(about.max)
  return panel
}

/** Bars, the longest first: how full things are. */
export function bars(about: About & { query: PromQuery }): Panel {
  const panel = new bargauge.PanelBuilder()
    .title(about.title)
    .description(about.description)
    .datasource(PROMETHEUS)
    .targets([promQuery(about.query, 0, 'instant')])
    .unit(about.unit)
    .noValue(about.empty)
    .span(about.span ?? 12)
    .height(about.height ?? LINES_HEIGHT)
    .orientation(common.VizOrientation.Horizontal)
    .displayMode(common.BarGaugeDisplayMode.Basic)
    .reduceOptions(new common.ReduceDataOptionsBuilder().calcs(['lastNotNull']))
    .thresholds(thresholds(about))
    .min(about.min ?? 0)
  if (about.max !== undefined) panel.max(about.max)
  return panel
}

/** How many were how slow, over time. `repeat`: one for each value of a variable. */
export function heat(about: About & { expr: string; repeat?: string }): Panel {
  const panel = new heatmap.PanelBuilder()
    .title(about.title)
    .description(about.description)
    .datasource(PROMETHEUS)
    .targets([promQuery({ expr: about.expr, legend: '{{le}}' }, 0, 'heatmap')])
    .unit(about.unit)
    .noValue(about.empty)
    .span(about.span ?? 12)
    .height(about.height ?? LINES_HEIGHT)
    .calculate(false)
    .yAxis(new heatmap.YAxisConfigBuilder().unit(about.unit).decimals(about.decimals ?? 2))
    .cellValues(new heatmap.CellValuesBuilder().unit('reqps'))
    .color(
      new heatmap.HeatmapColorOptionsBuilder()
        .mode(heatmap.HeatmapColorMode.Scheme)
        .scheme('Oranges')
        .scale(heatmap.HeatmapColorScale.Exponential)
        .exponent(0.5)
        .steps(64),
    )
    .cellGap(1)
    .showLegend()
    .tooltip(
      new heatmap.HeatmapTooltipBuilder().mode(common.TooltipDisplayMode.Single).yHistogram(true),
    )
  if (about.repeat) panel.repeat(about.repeat).repeatDirection('h').maxPerRow(2)
  return panel
}

interface Column {
  name: string
  unit?: string
  /** a bar behind the figure */
  isBar?: boolean
}

export function rows(about: About & { sql: SqlQuery; columns?: Column[] }): Panel {
  const panel = new table.PanelBuilder()
    .title(about.title)
    .description(about.description)
    .datasource(POSTGRES)
    .targets([sqlQuery(about.sql, 0)])
    .unit(about.unit)
    .noValue(about.empty)
    .span(about.span ?? 24)
    .height(about.height ?? LINES_HEIGHT + 2)
    .cellHeight(common.TableCellHeight.Sm)
    .filterable(true)
    .thresholds(thresholds(about))
  for (const { name, unit, isBar } of about.columns ?? []) {
    panel.overrideByName(name, [
      ...(unit === undefined ? [] : [{ id: 'unit', value: unit }]),
      ...(isBar ? [{ id: 'custom.cellOptions', value: { type: 'gauge', mode: 'basic' } }] : []),
    ])
  }
  return panel
}
