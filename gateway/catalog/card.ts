// A model card in Markdown: what the model is for, what its version was made of, how good it is, and what happened.
//
// What nobody said is left out, and so is the part that would say it; only of what a reader has to know is said that it is not
// known.
//
// Knows: a card's parts and their order. Does not know: where the data is, HTML.

import { day, minute } from './figures.ts'
import { evaluationPart } from './card-evaluations.ts'
import { pricePart, servicePart } from './card-service.ts'
import { code, inline, nested, table } from './markdown.ts'
import { versionPart, versionsPart } from './card-versions.ts'
import type { CardData } from './card-data.ts'
import type { Note } from '../db/catalog-notes.ts'

export function writeCard(data: CardData): string {
  const { model, version } = data
  const parts = [
    `# ${inline(model.name)}`,
    summary(data),
    model.description === null
      ? '*Nobody has described this model yet.*'
      : nested(model.description, 2),
    textPart('Intended use', model.intendedUse),
    textPart('How to use it', model.userGuide),
    textPart('Known issues', model.knownIssues),
    version && versionPart(version),
    evaluationPart(data),
    servicePart(data),
    pricePart(data),
    versionsPart(data),
    notesPart(data),
    `---\n\nWritten ${minute(data.at)} from the catalog of Headrace.`,
  ]
  const text = `${parts.filter((part) => part !== null).join('\n\n')}\n`
  // It is read in terminals too, which would obey them.
  return text.replaceAll(/[^\P{Cc}\n\t]/gu, '\u{fffd}')
}

function summary({ model, version, standings }: CardData): string {
  const standing = version && standings.get(version.id)
  const state =
    version && `${version.state}${version.condition === 'present' ? '' : `, ${version.condition}`}`
  const rows: (readonly [string, string | null])[] = [
    ['Version', version && `${code(version.id)}, ${state}`],
    ['Traffic', standing ? inline(standing.why.replace(/^it is /, '')) : null],
    ['Task', model.task && inline(model.task)],
    ['Owner', model.owner && inline(model.owner)],
    ['Licence', orNull(version?.licence ?? model.licence)],
    ['Base model', orNull(version?.baseModel)],
    ['Tags', tagsOf(model.tags)],
  ]
  const said = rows.flatMap(([name, value]) => (value === null ? [] : [[`**${name}**`, value]]))
  const [first = ['', ''], ...rest] = said
  // A table of Markdown has headings; the first line is as good a one as any.
  return table(first, rest)
}

const orNull = (text: string | null | undefined) => (text ? inline(text) : null)

function tagsOf(tags: Record<string, string>): string | null {
  const said = Object.entries(tags).map(([name, value]) => code(`${name}=${value}`))
  return said.length === 0 ? null : said.join(' ')
}

function textPart(title: string, text: string | null): string | null {
  return text === null ? null : `## ${title}\n\n${nested(text, 2)}`
}

function notesPart({ notes, hasMoreNotes, attachments }: CardData): string | null {
  if (notes.length === 0) return null
  const written = notes.map((note) => {
    const files = attachments.filter(({ noteId }) => noteId === note.id)
    const listed = files.map(({ name, id }) => `- ${inline(name)} (${code(id)})`).join('\n')
    const about = `*${day(note.createdAt)}, ${inline(note.author)}${note.version === null ? '' : `, ${inline(note.version)}`}*`
    return [`### ${titleOf(note)}`, about, nested(note.text, 3), listed]
      .filter((part) => part !== '')
      .join('\n\n')
  })
  const more = hasMoreNotes ? ['*There are older notes in the catalog.*'] : []
  return ['## Notes', ...written, ...more].join('\n\n')
}

function titleOf({ kind, title }: Note): string {
  const words = kind.replaceAll('_', ' ')
  const name = words[0]!.toUpperCase() + words.slice(1)
  return title === '' ? name : `${name}: ${inline(title)}`
}
