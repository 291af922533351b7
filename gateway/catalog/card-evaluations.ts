// Of a model card: what the version achieved on datasets, beside the one before it.

import { day, percent, short, whole } from './figures.ts'
import { inline, table } from './markdown.ts'
import type { CardData } from './card-data.ts'
import type { Evaluation } from '../db/catalog-evaluations.ts'

export function evaluationPart({ version, previous, evaluations }: CardData): string | null {
  if (!version) return null
  const own = evaluations.filter((each) => each.version === version.id)
  if (own.length === 0) return '## Evaluations\n\n*None was told.*'
  const others = evaluations.filter((each) => each.version === previous?.id)
  const compared = previous !== null && others.length > 0
  const headings = ['Dataset', 'Metric', `Version ${version.number}`]
  if (compared) headings.push(`Version ${previous.number}`, 'Change')
  const rows = own.map((each) => {
    const other = others.find((old) => keyOf(old) === keyOf(each))
    const cells = [datasetOf(each), metricOf(each), `**${short(each.value)}**`]
    if (compared) cells.push(other ? short(other.value) : '', other ? changeOf(each, other) : '')
    const { sampleSize } = each
    return [...cells, sampleSize === null ? '' : whole(sampleSize), measured(each)]
  })
  const marks = compared ? '; ✓ better than the version before, ✗ worse' : ''
  const text = `↑ higher is better, ↓ lower is better${marks}.`
  return `## Evaluations\n\n${table([...headings, 'Samples', 'Measured'], rows)}\n\n${text}`
}

const keyOf = ({ dataset, split, metric }: Evaluation) => JSON.stringify([dataset, split, metric])

const datasetOf = ({ dataset, split }: Evaluation) =>
  inline(dataset) + (split === '' ? '' : `, ${inline(split)}`)

const metricOf = ({ metric, higherIsBetter }: Evaluation) =>
  `${inline(metric)}\u00a0${higherIsBetter ? '↑' : '↓'}`

const measured = ({ measuredAt, measuredBy }: Evaluation) =>
  `${day(measuredAt)}, ${inline(measuredBy)}`

function changeOf({ value, higherIsBetter }: Evaluation, before: Evaluation): string {
  const change = value - before.value
  if (change === 0) return '±0'
  const sign = change > 0 ? '+' : '−'
  const share =
    before.value === 0 ? '' : `\u00a0(${sign}${percent(Math.abs(change / before.value))})`
  return `${sign}${short(Math.abs(change))}${share}\u00a0${change > 0 === higherIsBetter ? '✓' : '✗'}`
}
