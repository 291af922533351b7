// Of a model card: what the version was made of, and which others there are.

import { bytes, day, large, whole } from './figures.ts'
import { code, inline, nested, table } from './markdown.ts'
import type { CardData } from './card-data.ts'
import type { CatalogVersion, TrainingData } from '../db/catalog-versions.ts'

export function versionPart(version: CatalogVersion): string {
  const { source, sourceRevision, digest } = version
  const from =
    source && `${code(source)}${sourceRevision === null ? '' : ` at ${code(sourceRevision)}`}`
  const rows: (readonly [string, string | null])[] = [
    [
      'Answered by',
      version.kind === 'local' ? 'Headrace, on its own runtime' : upstreamOf(version),
    ],
    [
      'Condition',
      version.problem === null ? null : `**${version.condition}**: ${inline(version.problem)}`,
    ],
    ['Source', from],
    ['Base model', version.baseModel && inline(version.baseModel)],
    ['Family', version.family && inline(version.family)],
    ['Parameters', version.parameters === null ? null : large(version.parameters)],
    ['Precision', version.precision && inline(version.precision)],
    ['Context', version.contextLength === null ? null : `${whole(version.contextLength)} tokens`],
    ['Size', version.bytes === null ? null : bytes(version.bytes)],
    ['Digest', digest && code(`sha256:${digest}`)],
    ['Training run', version.trainingRun && inline(version.trainingRun)],
    ['Made', madeOf(version)],
  ]
  const said = rows.flatMap(([name, value]) => (value === null ? [] : [[`**${name}**`, value]]))
  const parts = [`## Version ${version.number}`, table(said[0]!, said.slice(1))]
  if (version.changeNote !== null) parts.push('### What is new', nested(version.changeNote, 3))
  parts.push('### Training data', trainingData(version.trainingData))
  const { hyperparameters } = version
  if (hyperparameters !== null && Object.keys(hyperparameters).length > 0) {
    const rows = Object.entries(hyperparameters).map(([name, value]) => [
      inline(name),
      code(typeof value === 'string' ? value : JSON.stringify(value)),
    ])
    parts.push('### Hyperparameters', table(['Name', 'Value'], rows))
  }
  return parts.join('\n\n')
}

function upstreamOf({ upstream, asks }: CatalogVersion): string {
  return `the upstream ${code(upstream ?? '')}, which is asked for ${code(asks ?? '')}`
}

function madeOf({ createdAt, createdBy }: CatalogVersion): string {
  return `${day(createdAt)}${createdBy === null ? '' : ` by ${inline(createdBy)}`}`
}

function trainingData(sets: TrainingData[] | null): string {
  if (sets === null || sets.length === 0) return '*Not stated.*'
  const rows = sets.map(({ name, split, size, source }) => [
    inline(name),
    inline(split ?? ''),
    size === undefined ? '' : whole(size),
    inline(source ?? ''),
  ])
  return table(['Dataset', 'Split', 'Examples', 'Source'], rows)
}

export function versionsPart({
  versions,
  hasMoreVersions,
  standings,
  version,
}: CardData): string | null {
  if (versions.length < 2) return null
  const roleOf = ({ id }: CatalogVersion) => {
    const standing = standings.get(id)
    return standing ? `, **${standing.role}**` : ''
  }
  const rows = versions.map((each) => [
    each.id === version?.id ? `**${inline(each.id)}**` : inline(each.id),
    `${each.state}${roleOf(each)}${each.condition === 'present' ? '' : `, ${each.condition}`}`,
    inline(each.kind === 'local' ? (each.source ?? '') : `${each.upstream}: ${each.asks}`),
    day(each.createdAt),
    firstLine(each.changeNote),
  ])
  const more = hasMoreVersions ? '\n\n*There are older versions in the catalog.*' : ''
  return `## Versions\n\n${table(['Version', 'State', 'Source', 'Made', 'What is new'], rows)}${more}`
}

const MAX_LINE = 100

function firstLine(text: string | null): string {
  const [line = ''] = (text ?? '').trimStart().split('\n')
  const plain = line.replace(/^[#>\s*-]+/, '')
  return inline(plain.length <= MAX_LINE ? plain : `${plain.slice(0, MAX_LINE)}…`)
}
