// Every panel of every dashboard over a day that is made up, for a look: a picture of each dashboard in
// .cache/contact-sheet. A panel that is empty or flat is told, and is a failure.
//
//   make contact-sheet

import { spawnSync } from 'node:child_process'
import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'

import { makeFolder } from '../../support/folder.ts'
import { ROOT } from '../../support/process.ts'
import { run } from '../../support/promtool.ts'
import { TestPrometheus } from '../../support/prometheus.ts'
import { filledIn, filledSql, panelsOf, readBoards } from '../../support/watching.ts'
import { FROM_S, STEP_S, TO_S, writeDay } from './day.ts'
import { draw, finite, isEmpty } from './drawing.ts'
import { DAY, writeTables } from './tables.ts'
import type { Lasting } from '../../support/lasting.ts'
import type { Board, Panel } from '../../support/watching.ts'
import type { Curve, Filled, Mark } from './drawing.ts'

const WIDTH = 1_680
const COLUMN = WIDTH / 24
const ROW = 32
const GAP = 6
const OUT = join(ROOT, '.cache/contact-sheet')
const CHOSEN = {
  model: 'guide',
  version: '.*',
  live: 'guide@7',
  canary: 'guide@8',
  rateInterval: '30s',
}
/** of bars, as long as the rate's interval */
const BAR_S = 30

const DAY_S = [DAY.from.getTime() / 1000, DAY.to.getTime() / 1000] as const

await using undo = new AsyncDisposableStack()
const t: Lasting = { after: (stop) => undo.defer(stop) }

const folder = await makeFolder(t, 'contact-sheet')
const samples = join(folder, 'day.txt')
await writeFile(samples, await writeDay())
const data = join(folder, 'data')
const made = run('promtool', 'tsdb', 'create-blocks-from', 'openmetrics', samples, data)
if (!made.isContent) throw new Error(made.said)
const [prometheus, tables] = await Promise.all([
  TestPrometheus.start(t, { dataFolder: data, lookback: '12s' }),
  writeTables(t),
])
await mkdir(OUT, { recursive: true })

const problems: string[] = []
for (const board of readBoards()) await sheetOf(board)
const count = panelsOf(readBoards()).length
console.log(`${count} panels in ${OUT}; ${problems.length} are empty or flat.`)
for (const problem of problems) console.log(`  ${problem}`)
if (problems.length > 0) process.exitCode = 1

async function sheetOf(board: Board) {
  const marks = await marksOf(board)
  const pieces: string[] = []
  let height = 0
  for (const panel of board.panels) {
    const { x, y, w, h } = panel.gridPos
    const place = `left:${x * COLUMN}px;top:${y * ROW}px`
    height = Math.max(height, (y + h) * ROW)
    if (panel.type === 'row') {
      pieces.push(`<h2 style="${place}">${panel.title}</h2>`)
      continue
    }
    const filled = await fill(panel, marks)
    judge(board, filled)
    pieces.push(`<div style="${place}">${draw(filled, w * COLUMN - GAP, h * ROW - GAP)}</div>`)
  }
  const page = `<!doctype html><meta charset="utf-8"><title>${board.title}</title><style>body{margin:8px;background:#111217;width:${WIDTH}px;height:${height}px;position:relative}div,h2{position:absolute;margin:0}h2{color:#ccccdc;font:bold 15px sans-serif;padding-top:8px}</style>${pieces.join('')}`
  const name = join(OUT, board.title.toLowerCase())
  await writeFile(`${name}.html`, page)
  photograph(name, WIDTH + 16, height + 16)
}

async function fill(panel: Panel, marks: Mark[]): Promise<Filled> {
  const curves: Curve[] = []
  const rows: Record<string, unknown>[] = []
  const isBars = panel.fieldConfig.defaults.custom?.drawStyle === 'bars'
  for (const { expr, rawSql, legendFormat = '', instant, format } of panel.targets) {
    if (expr !== undefined) {
      const question = filledIn(expr, CHOSEN)
      const series = instant
        ? await prometheus.query(question, TO_S - STEP_S)
        : await prometheus.queryRange(question, {
            from: FROM_S + 30,
            to: TO_S - STEP_S,
            step: isBars ? BAR_S : STEP_S,
          })
      for (const { labels, points } of series)
        curves.push({ name: nameOf(legendFormat, labels), points })
    }
    if (rawSql === undefined) continue
    // Hours are those of the whole day; deployments are those of its ten minutes.
    const { rows: found } = await tables.query<Record<string, unknown>>(
      filledSql(rawSql, CHOSEN.model, DAY.from, DAY.to),
    )
    if (format === 'time_series') curves.push(...seriesOf(found))
    else rows.push(...found)
  }
  const isMetric = panel.targets.some(({ expr }) => expr !== undefined)
  const extent = isMetric ? ([FROM_S, TO_S] as const) : DAY_S
  return { panel, curves, rows, marks: isMetric ? marks : [], extent }
}

function nameOf(legend: string, labels: Record<string, string>): string {
  return legend
    .replaceAll(/\{\{(\w+)\}\}/g, (_, label: string) => labels[label] ?? '')
    .replaceAll('$live', CHOSEN.live)
    .replaceAll('$canary', CHOSEN.canary)
}

function seriesOf(rows: Record<string, unknown>[]): Curve[] {
  const times = [...new Set(rows.map(({ time }) => (time as Date).getTime() / 1000))]
  const byName = Map.groupBy(rows, ({ metric }) => String(metric))
  return [...byName].map(([name, its]) => {
    const values = new Map(
      its.map(({ time, value }) => [(time as Date).getTime() / 1000, Number(value)]),
    )
    return { name, points: times.map((time) => [time, values.get(time) ?? 0]) }
  })
}

async function marksOf({ annotations }: Board): Promise<Mark[]> {
  const marks: Mark[] = []
  for (const { name, target } of annotations?.list ?? []) {
    if (target?.rawSql === undefined) continue
    const sql = filledSql(target.rawSql, CHOSEN.model, DAY.from, DAY.to)
    const { rows } = await tables.query<{ time: Date; text: string }>(sql)
    if (rows.length === 0) problems.push(`annotation ${name}: empty`)
    const colour = name === 'Rollbacks' ? '#f2495c' : '#5794f2'
    for (const { time } of rows) marks.push({ at: time.getTime() / 1000, colour })
  }
  return marks
}

/** Whoever looks at a panel of a day with everything in it has to see something of it. */
function judge(board: Board, filled: Filled) {
  const { panel, curves, rows } = filled
  const where = `${board.title}: ${panel.title}`
  if (isEmpty(filled)) problems.push(`${where}: empty`)
  else if (panel.type !== 'table' && panel.type !== 'bargauge' && rows.length === 0) {
    const moves = curves.some(({ points }) => {
      const values = finite(points)
      return Math.max(...values) - Math.min(...values) > 1e-9
    })
    if (!moves) problems.push(`${where}: flat`)
  } else if (panel.type === 'table' && rows.length < 2) problems.push(`${where}: one row`)
}

function photograph(name: string, width: number, height: number) {
  const { status, stderr } = spawnSync(
    'chromium',
    [
      '--headless',
      '--no-sandbox',
      '--disable-gpu',
      '--hide-scrollbars',
      `--window-size=${width},${height}`,
      `--screenshot=${name}.png`,
      `file://${name}.html`,
    ],
    { encoding: 'utf8', timeout: 60_000 },
  )
  if (status !== 0)
    console.log(`No picture of ${name}.html: ${stderr?.slice(-300) ?? 'chromium is not installed'}`)
}
