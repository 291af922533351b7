// A panel with its data as a picture: title, unit, axes, series, legend. Not Grafana's, but what it would show.
//
// Knows: SVG. Does not know: where the data comes from.

import { written } from './units.ts'
import type { Panel } from '../../support/watching.ts'

export interface Curve {
  name: string
  points: [number, number][]
}

export interface Mark {
  at: number
  colour: string
}

export interface Filled {
  panel: Panel
  curves: Curve[]
  /** of a table */
  rows: Record<string, unknown>[]
  marks: Mark[]
  /** of time, in seconds */
  extent: readonly [number, number]
}

interface Box {
  left: number
  top: number
  width: number
  height: number
}

const COLOURS = [
  '#73bf69',
  '#f2cc0c',
  '#8ab8ff',
  '#ff780a',
  '#f2495c',
  '#b877d9',
  '#37872d',
  '#e0b400',
]
const INK = '#ccccdc'
const FAINT = '#8e8e9e'
const GRID = '#2c2f36'
const ROW = 14

export function draw(filled: Filled, width: number, height: number): string {
  const { panel } = filled
  const { unit = 'short' } = panel.fieldConfig.defaults
  const head =
    text(10, 18, panel.title, INK, 13, 'bold') + text(width - 8, 18, unit, FAINT, 10, '', 'end')
  const body = { left: 10, top: 28, width: width - 20, height: height - 36 }
  const inside = isEmpty(filled)
    ? text(width / 2, height / 2, panel.fieldConfig.defaults.noValue ?? '', FAINT, 13, '', 'middle')
    : bodyOf(filled, body, unit)
  return `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${height}" viewBox="0 0 ${width} ${height}" font-family="sans-serif"><rect width="${width}" height="${height}" rx="3" fill="#181b1f" stroke="#2c2f36"/>${head}${inside}</svg>`
}

export function isEmpty({ curves, rows }: Filled): boolean {
  return (
    rows.length === 0 && !curves.some(({ points }) => points.some(([, y]) => Number.isFinite(y)))
  )
}

function bodyOf(filled: Filled, box: Box, unit: string): string {
  switch (filled.panel.type) {
    case 'stat':
      return drawStat(filled, box, unit)
    case 'bargauge':
      return drawBars(filled, box, unit)
    case 'heatmap':
      return drawHeatmap(filled, box, unit)
    case 'table':
      return drawTable(filled, box)
    default:
      return drawLines(filled, box, unit)
  }
}

/** of the thresholds, the one that the value has reached */
function colourOf({ panel }: Filled, value: number): string {
  const steps = panel.fieldConfig.defaults.thresholds?.steps ?? []
  const step = steps.findLast(({ value: least }) => least === null || value >= least)
  return { green: '#73bf69', orange: '#ff9830', red: '#f2495c' }[step?.color ?? 'green'] ?? INK
}

function drawStat(filled: Filled, box: Box, unit: string): string {
  const [curve] = filled.curves
  const row = filled.rows[0]
  const values = curve ? finite(curve.points) : Object.values(row ?? {}).map(Number)
  const last = values.at(-1) ?? Number.NaN
  const colour = colourOf(filled, last)
  const spark = curve
    ? path(curve.points, scale(box, filled.extent, [0, Math.max(...values, 1e-12)]), colour, 0.15)
    : ''
  return (
    spark +
    text(
      box.left + box.width / 2,
      box.top + box.height / 2 + 8,
      written(last, unit),
      colour,
      26,
      'bold',
      'middle',
    )
  )
}

function drawBars(filled: Filled, box: Box, unit: string): string {
  const bars = filled.curves.map(({ name, points }) => ({ name, value: points.at(-1)?.[1] ?? 0 }))
  const most = filled.panel.fieldConfig.defaults.max ?? Math.max(...bars.map(({ value }) => value))
  const step = Math.min(44, box.height / bars.length)
  return bars
    .map(({ name, value }, index) => {
      const y = box.top + index * step
      const width = (box.width * Math.min(value, most)) / most
      return (
        text(box.left, y + 12, name, INK, 11) +
        text(
          box.left + box.width,
          y + 12,
          written(value, unit),
          colourOf(filled, value),
          12,
          'bold',
          'end',
        ) +
        rect(box.left, y + 17, box.width, 10, GRID) +
        rect(box.left, y + 17, width, 10, colourOf(filled, value))
      )
    })
    .join('')
}

function drawTable({ rows }: Filled, box: Box): string {
  const names = Object.keys(rows[0] ?? {})
  const column = box.width / names.length
  const cell = (value: unknown) => {
    if (value === null || value === undefined) return ''
    if (value instanceof Date) return value.toISOString().slice(0, 19).replace('T', ' ')
    return typeof value === 'number' ? written(value, 'short') : `${value as string | boolean}`
  }
  const line = (values: string[], index: number, colour: string) =>
    values
      .map((value, at) =>
        text(
          box.left + at * column,
          box.top + 14 + index * 18,
          value.slice(0, column / 6),
          colour,
          11,
        ),
      )
      .join('')
  const shown = rows.slice(0, Math.floor(box.height / 18) - 1)
  return (
    line(names, 0, FAINT) +
    shown
      .map((row, index) =>
        line(
          names.map((name) => cell(row[name])),
          index + 1,
          INK,
        ),
      )
      .join('')
  )
}

/** Buckets are cumulative: a cell is what one has more than the one below it. */
function drawHeatmap({ curves, extent }: Filled, box: Box, unit: string): string {
  const buckets = curves
    .map(({ name, points }) => ({
      bound: Number(name.replace('+Inf', 'Infinity')),
      points: new Map(points),
    }))
    .toSorted((a, b) => a.bound - b.bound)
  const times = [...new Set(buckets.flatMap(({ points }) => [...points.keys()]))].toSorted(
    (a, b) => a - b,
  )
  const plot = { ...box, left: box.left + 52, width: box.width - 52, height: box.height - 18 }
  const cellHeight = plot.height / buckets.length
  const [from, to] = extent
  const perSecond = plot.width / (to - from)
  const cellWidth = ((times[1] ?? to) - (times[0] ?? from)) * perSecond
  const cells = buckets.flatMap(({ points }, row) =>
    times.map((time) => {
      const below = buckets[row - 1]?.points.get(time) ?? 0
      return { row, time, count: Math.max(0, (points.get(time) ?? 0) - below) }
    }),
  )
  const most = Math.max(...cells.map(({ count }) => count))
  const drawn = cells
    .filter(({ count }) => count > 0)
    .map(({ row, time, count }) => {
      const light = 22 + 50 * Math.sqrt(count / most)
      const y = plot.top + plot.height - (row + 1) * cellHeight
      return rect(
        plot.left + (time - from) * perSecond,
        y,
        Math.max(1, cellWidth - 0.5),
        cellHeight - 1,
        `hsl(${24 + light / 3} 90% ${light}%)`,
      )
    })
  const labels = buckets.map(({ bound }, row) =>
    row % 2 === 0 && Number.isFinite(bound)
      ? text(
          plot.left - 6,
          plot.top + plot.height - row * cellHeight - cellHeight / 2 + 3,
          written(bound, unit),
          FAINT,
          9,
          '',
          'end',
        )
      : '',
  )
  return drawn.join('') + labels.join('') + timeAxis(plot, extent)
}

function drawLines({ panel, curves, marks, extent }: Filled, box: Box, unit: string): string {
  const { defaults } = panel.fieldConfig
  const isStacked = defaults.custom?.stacking?.mode === 'normal'
  const isBars = defaults.custom?.drawStyle === 'bars'
  const legendRows = Math.min(curves.length, Math.max(2, Math.floor((box.height - 90) / ROW)))
  const plot = {
    ...box,
    left: box.left + 58,
    width: box.width - 60,
    height: box.height - 34 - legendRows * ROW,
  }
  const isLog = defaults.custom?.scaleDistribution?.type === 'log'
  const shown = isStacked ? stacked(curves) : isLog ? logarithms(curves) : curves
  const meaning = (value: number) => (isLog ? 10 ** value : value)
  const limits = (defaults.thresholds?.steps ?? []).filter(({ value }) => value !== null)
  const values = shown.flatMap(({ points }) => finite(points))
  const top = defaults.max ?? (Math.max(...values) * 1.05 || 1)
  const at = scale(plot, extent, [0, top])
  const ticks = [0, 0.25, 0.5, 0.75, 1].map((share) => {
    const y = plot.top + plot.height * (1 - share)
    return (
      line(plot.left, y, plot.left + plot.width, y, GRID) +
      text(plot.left - 6, y + 3, written(meaning(top * share), unit), FAINT, 9, '', 'end')
    )
  })
  const barWidth = Math.max(
    2,
    (plot.width /
      Math.max(2, new Set(curves.flatMap(({ points }) => points.map(([x]) => x))).size)) *
      0.7,
  )
  const drawn = shown.map(({ points }, index) => {
    const colour = COLOURS[index % COLOURS.length]!
    if (!isBars) return path(points, at, colour, isStacked ? 0.35 : 0)
    return points
      .filter(([, y]) => y > 0)
      .map(([x, y]) => {
        const [px, py] = at(x, y)
        return rect(px - barWidth / 2, py, barWidth, plot.top + plot.height - py, colour)
      })
      .join('')
  })
  // Of what is stacked the highest comes first, so that what is below it is seen.
  if (isStacked) drawn.reverse()
  const dashes = limits.flatMap(({ value, color }) => {
    if (value === null || value > top) return []
    const [, y] = at(extent[0], value)
    return line(
      plot.left,
      y,
      plot.left + plot.width,
      y,
      color === 'red' ? '#f2495c' : '#ff9830',
      '4 3',
    )
  })
  const flags = marks.map(({ at: time, colour }) => {
    const [x] = at(time, 0)
    return (
      line(x, plot.top, x, plot.top + plot.height, colour, '2 3') +
      rect(x - 3, plot.top + plot.height, 6, 5, colour)
    )
  })
  return (
    ticks.join('') +
    drawn.join('') +
    dashes.join('') +
    flags.join('') +
    timeAxis(plot, extent) +
    legend(curves, box, legendRows, unit)
  )
}

function legend(curves: Curve[], box: Box, count: number, unit: string): string {
  const top = box.top + box.height - count * ROW + 4
  const columns = [0.64, 0.82, 1].map((share) => box.left + box.width * share)
  const names = ['last', 'mean', 'max'].map((name, index) =>
    text(columns[index]!, top - 5, name, FAINT, 9, '', 'end'),
  )
  const rows = curves.slice(0, count).map(({ name, points }, index) => {
    const values = finite(points)
    const mean = values.reduce((sum, value) => sum + value, 0) / values.length
    const y = top + index * ROW + 8
    const figures = [values.at(-1) ?? Number.NaN, mean, Math.max(...values)]
    return (
      rect(box.left, y - 7, 10, 3, COLOURS[index % COLOURS.length]!) +
      text(box.left + 15, y, name.slice(0, (box.width * 0.45) / 5.5), INK, 10) +
      figures
        .map((figure, at) => text(columns[at]!, y, written(figure, unit), INK, 10, '', 'end'))
        .join('')
    )
  })
  return names.join('') + rows.join('')
}

/** of what is below one, nothing is to be seen */
function logarithms(curves: Curve[]): Curve[] {
  return curves.map(({ name, points }) => ({
    name,
    points: points.map(([x, y]) => [x, Math.log10(Math.max(1, y))]),
  }))
}

function stacked(curves: Curve[]): Curve[] {
  const heights = new Map<number, number>()
  return curves.map(({ name, points }) => ({
    name,
    points: points.map(([x, y]) => {
      const sum = (heights.get(x) ?? 0) + (Number.isFinite(y) ? y : 0)
      heights.set(x, sum)
      return [x, sum]
    }),
  }))
}

type Place = (x: number, y: number) => [number, number]

function scale(box: Box, [x0, x1]: readonly [number, number], [y0, y1]: [number, number]): Place {
  return (x, y) => [
    box.left + (box.width * (x - x0)) / (x1 - x0 || 1),
    box.top + box.height - (box.height * (Math.min(y, y1) - y0)) / (y1 - y0 || 1),
  ]
}

function path(points: [number, number][], at: Place, colour: string, fill: number): string {
  const places = points.filter(([, y]) => Number.isFinite(y)).map(([x, y]) => at(x, y))
  if (places.length === 0) return ''
  const drawn = places.map(([x, y]) => `${x.toFixed(1)},${y.toFixed(1)}`).join(' L')
  const [, base] = at(points[0]![0], 0)
  const area =
    fill > 0
      ? `<path d="M${places[0]![0].toFixed(1)},${base} L${drawn} L${places.at(-1)![0].toFixed(1)},${base} Z" fill="${colour}" fill-opacity="${fill}"/>`
      : ''
  return `${area}<path d="M${drawn}" fill="none" stroke="${colour}" stroke-width="1.5"/>`
}

function timeAxis(plot: Box, [from, to]: readonly [number, number]): string {
  return [0, 0.5, 1]
    .map((share) => {
      const time = new Date((from + (to - from) * share) * 1000).toISOString().slice(11, 16)
      const anchor = share === 0 ? 'start' : share === 1 ? 'end' : 'middle'
      return text(
        plot.left + plot.width * share,
        plot.top + plot.height + 12,
        time,
        FAINT,
        9,
        '',
        anchor,
      )
    })
    .join('')
}

export function finite(points: [number, number][]): number[] {
  return points.map(([, y]) => y).filter((y) => Number.isFinite(y))
}

function text(
  x: number,
  y: number,
  words: string,
  colour: string,
  size: number,
  weight = '',
  anchor = 'start',
): string {
  const escaped = words.replaceAll('&', '&amp;').replaceAll('<', '&lt;')
  return `<text x="${x.toFixed(1)}" y="${y.toFixed(1)}" fill="${colour}" font-size="${size}" font-weight="${weight || 'normal'}" text-anchor="${anchor}">${escaped}</text>`
}

function rect(x: number, y: number, width: number, height: number, colour: string): string {
  return `<rect x="${x.toFixed(1)}" y="${y.toFixed(1)}" width="${Math.max(0, width).toFixed(1)}" height="${Math.max(0, height).toFixed(1)}" fill="${colour}"/>`
}

function line(x0: number, y0: number, x1: number, y1: number, colour: string, dash = ''): string {
  return `<line x1="${x0.toFixed(1)}" y1="${y0.toFixed(1)}" x2="${x1.toFixed(1)}" y2="${y1.toFixed(1)}" stroke="${colour}" stroke-dasharray="${dash}"/>`
}
