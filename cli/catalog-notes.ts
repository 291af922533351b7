// `headrace catalog note`, `notes`, `attach`: what was written of models and versions.

import { basename } from 'node:path'

import { InvalidArgumentError, Option } from 'commander'
import type { Command } from 'commander'

import { attach, writeNote } from '../gateway/catalog/notes.ts'
import { listAttachments } from '../gateway/db/catalog-attachments.ts'
import { listNotes, NOTE_KINDS, searchNotes } from '../gateway/db/catalog-notes.ts'
import { attachmentBody, noteBody, NoteDraft } from '../gateway/dialects/admin/catalog-note.ts'
import { addPageOptions, moreRows, pageOf } from './arguments.ts'
import { checked, readFile, readReference, readText } from './catalog-arguments.ts'
import { requireReference } from './catalog-database.ts'
import { asTable, json, timeCell } from './table.ts'
import type { Note, NoteKind } from '../gateway/db/catalog-notes.ts'
import type { PageFlags } from './arguments.ts'
import type { Reference } from './catalog-arguments.ts'
import type { WithCatalog } from './catalog-database.ts'

interface NotesFlags extends PageFlags {
  kind?: NoteKind
  search?: string
}

const MAX_SHOWN = 60

export function addNoteCommands(catalog: Command, run: WithCatalog) {
  catalog
    .command('note')
    .description('write a note of a model, or of a version')
    .argument('<model[@version]>', 'guide, guide@3', readReference)
    .argument('<text>', 'Markdown, or @file', readSomeText)
    .addOption(new Option('--kind <kind>', 'what it is').choices(NOTE_KINDS).default('other'))
    .option('--title <title>', 'in a line')
    .option('--json', 'as JSON')
    .addHelpText(
      'after',
      '\nExample:\n  headrace catalog note guide@3 @run.md --kind training_log --title "Run 7"',
    )
    .action(
      (
        { model, number }: Reference,
        text: string,
        { kind, title, ...flags }: { kind: NoteKind; title?: string; json?: boolean },
      ) =>
        run(async ({ pool, actor, language }) => {
          const draft = checked(NoteDraft, { kind, title, text, version: number ?? undefined })
          const note = await writeNote({ pool, language }, actor, model, draft)
          return flags.json ? json(noteBody(note, [])) : `The note is kept: ${note.id}`
        }),
    )

  addPageOptions(
    catalog
      .command('notes')
      .description('list notes, newest first, or find some, best first')
      .argument('<model[@version]>', 'guide, guide@3', readReference)
      .addOption(new Option('--kind <kind>', 'only these').choices(NOTE_KINDS))
      .option('--search <words>', 'words, "a phrase", or, -not'),
  )
    .addHelpText('after', '\nExample:\n  headrace catalog notes guide --search latency')
    .action(({ model, number }: Reference, { kind, search, ...flags }: NotesFlags) =>
      run(async ({ pool, language }) => {
        const version = await requireReference(pool, { model, number })
        const filter = { model, version, kind }
        const page =
          search === undefined ? await listNotes(pool, filter, pageOf(flags)) : await find(search)
        if (flags.json) {
          const ids = page.rows.map(({ id }) => id)
          const attachments = await listAttachments(pool, ids)
          return json(page.rows.map((note) => noteBody(note, attachments)))
        }
        const more = search === undefined ? moreRows(page.hasMore, page.rows.at(-1)?.id) : ''
        return table(page.rows) + more

        async function find(text: string) {
          const question = { text, language, limit: flags.limit, offset: 0 }
          const { hits, hasMore } = await searchNotes(pool, filter, question)
          return { rows: hits.map(({ note }) => note), hasMore }
        }
      }),
    )

  catalog
    .command('attach')
    .description('attach a file of at most 10 MiB to a note')
    .argument('<note>', 'its id')
    .argument('<file>', 'where it is')
    .option('--name <name>', 'another name than it has')
    .option('--content-type <type>', 'what it is', 'application/octet-stream')
    .option('--json', 'as JSON')
    .addHelpText(
      'after',
      '\nExample:\n  headrace catalog attach 019a2b4c-… loss.png --content-type image/png',
    )
    .action(
      (note: string, path: string, flags: { name?: string; contentType: string; json?: boolean }) =>
        run(async ({ pool, actor }) => {
          const { name = basename(path), contentType } = flags
          const file = { name, contentType, content: readFile(path) }
          const attachment = await attach(pool, actor, note, file)
          if (flags.json) return json(attachmentBody(attachment))
          return `${attachment.name} is attached: ${attachment.id}`
        }),
    )
}

function readSomeText(argument: string): string {
  const text = readText(argument)
  if (text.trim() !== '') return text
  throw new InvalidArgumentError('Allowed is a text, or @file.')
}

function table(notes: Note[]): string {
  if (notes.length === 0) return 'There are no such notes.'
  const rows = notes.map((note) => [
    timeCell(note.createdAt),
    note.version ?? note.model,
    note.kind,
    note.author,
    note.id,
    shorten(note.title === '' ? note.text : note.title),
  ])
  return asTable(['WRITTEN', 'OF', 'KIND', 'BY', 'ID', 'TITLE'], rows)
}

function shorten(text: string): string {
  const line = text.replaceAll(/\s+/g, ' ').trim()
  return line.length <= MAX_SHOWN ? line : `${line.slice(0, MAX_SHOWN)}…`
}
