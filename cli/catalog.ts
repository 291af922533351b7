// `headrace catalog …`: what is known of models and versions. A version's life, requirements, notes and evaluations have files
// of their own.
//
// Texts are given as they are, or as @file. Exit codes: 0 done, 1 it failed, 2 the command makes no sense.

import { Command, Option } from 'commander'

import { writeCard } from '../gateway/catalog/card.ts'
import { collectCard, lastDays } from '../gateway/catalog/card-data.ts'
import { cardPage } from '../gateway/catalog/card-page.ts'
import { measureLive } from '../gateway/catalog/live-metrics.ts'
import {
  changeCatalogModel,
  createCatalogModel,
  getCatalogModel,
} from '../gateway/catalog/models.ts'
import { getVersion } from '../gateway/catalog/versions.ts'
import { listCatalogModels } from '../gateway/db/catalog-models.ts'
import { listVersions, VERSION_STATES } from '../gateway/db/catalog-versions.ts'
import { liveMetricsBody } from '../gateway/dialects/admin/catalog-evaluation.ts'
import {
  catalogModelBody,
  CatalogModelDraft,
  CatalogModelPatch,
  listedModelBody,
} from '../gateway/dialects/admin/catalog-model.ts'
import { readStates, versionBody } from '../gateway/dialects/admin/catalog-version.ts'
import { orNull, readTag, refuseNothing } from './arguments.ts'
import { checked, fileOption, priceOption, readReference, textOption } from './catalog-arguments.ts'
import { withCatalog } from './catalog-database.ts'
import { addEvaluationCommands } from './catalog-evaluations.ts'
import { addNoteCommands } from './catalog-notes.ts'
import { addRequirementCommands } from './catalog-requirements.ts'
import { addVersionCommands } from './catalog-versions.ts'
import { asTable, json, timeCell } from './table.ts'
import type { Standing } from '../gateway/catalog/guards.ts'
import type { CatalogVersion } from '../gateway/db/catalog-versions.ts'
import type { CatalogLimits, ListedModel } from '../gateway/db/catalog-models.ts'
import type { TagsPatch } from '../gateway/dialects/admin/fields.ts'
import type { OrNothing } from './arguments.ts'
import type { Reference } from './catalog-arguments.ts'
import type { DatabaseCommandDeps } from './database.ts'

/** A catalog on a screen; whoever has more asks the admin API page by page. */
const MOST_ROWS = 1_000

interface ModelFlags {
  task?: OrNothing<string>
  owner?: OrNothing<string>
  description?: OrNothing<string>
  intendedUse?: OrNothing<string>
  userGuide?: OrNothing<string>
  knownIssues?: OrNothing<string>
  licence?: OrNothing<string>
  tag?: TagsPatch
  price?: OrNothing<unknown>
  limits?: OrNothing<unknown>
  json?: boolean
}

export function catalogCommand(deps: DatabaseCommandDeps): Command {
  const run = withCatalog(deps)
  const catalog = new Command('catalog').description(
    'say and read what is known of models and versions',
  )

  catalog
    .command('list')
    .description('list models, by name')
    .option('--json', 'as JSON')
    .addHelpText('after', '\nExample:\n  headrace catalog list')
    .action((flags: { json?: boolean }) =>
      run(async ({ pool }) => {
        const { rows } = await listCatalogModels(pool, { after: null, limit: MOST_ROWS })
        return flags.json ? json(rows.map(listedModelBody)) : modelTable(rows)
      }),
    )

  catalog
    .command('show')
    .description('show all that was said of a model, or of a version, and how it does in service')
    .argument('<model[@version]>', 'guide, guide@3', readReference)
    .addHelpText('after', '\nExample:\n  headrace catalog show guide@3')
    .action(({ model, number }: Reference) =>
      run(async ({ pool, liveIn }) => {
        const measured = async (id: string) =>
          liveMetricsBody(await measureLive(pool, id, lastDays(new Date())))
        if (number !== null) {
          const version = versionBody(await getVersion(pool, `${model}@${number}`))
          return json({ ...version, live_metrics: await measured(version.id) })
        }
        const shown = catalogModelBody(await getCatalogModel(pool, model))
        const filter = { states: readStates(undefined), before: null, limit: MOST_ROWS }
        const { rows } = await listVersions(pool, model, filter)
        const live = []
        for (const { id } of rows) {
          const role = (await liveIn(id, pool))?.role
          if (role === 'live' || role === 'canary') live.push(await measured(id))
        }
        return json({ ...shown, live_metrics: live })
      }),
    )

  catalog
    .command('versions')
    .description('list the versions of a model, newest first')
    .argument('<model>', 'as clients name it')
    .addOption(
      new Option('--state <state>', 'only these; deleted ones only so').choices(VERSION_STATES),
    )
    .option('--json', 'as JSON')
    .addHelpText('after', '\nExample:\n  headrace catalog versions guide --state archived')
    .action((model: string, flags: { state?: string; json?: boolean }) =>
      run(async ({ pool, liveIn }) => {
        await getCatalogModel(pool, model)
        const filter = { states: readStates(flags.state), before: null, limit: MOST_ROWS }
        const { rows } = await listVersions(pool, model, filter)
        if (flags.json) return json(rows.map(versionBody))
        const standings = await Promise.all(rows.map(({ id }) => liveIn(id, pool)))
        return versionTable(rows, standings)
      }),
    )

  addModelOptions(
    catalog
      .command('add')
      .description('tell of a model that is not of the library')
      .argument('<model>', 'as clients name it'),
  )
    .addHelpText('after', '\nExample:\n  headrace catalog add support --task chat --owner "Ada"')
    .action((name: string, flags: ModelFlags) =>
      run(async ({ pool, actor }) => {
        const draft = checked(CatalogModelDraft, { name, ...saidOfModel(flags) })
        const model = await createCatalogModel(pool, actor, draft)
        return flags.json ? json(catalogModelBody(model)) : `${name} is in the catalog.`
      }),
    )

  addModelOptions(
    catalog
      .command('set')
      .description('say something of a model; what is not named stays, none takes away')
      .argument('<model>', 'as clients name it'),
  )
    .addHelpText('after', '\nExample:\n  headrace catalog set guide --description @about.md')
    .action((name: string, flags: ModelFlags) => {
      refuseNothing(flags)
      return run(async ({ pool, actor }) => {
        const patch = checked(CatalogModelPatch, saidOfModel(flags))
        const model = await changeCatalogModel(pool, actor, name, patch)
        return flags.json ? json(catalogModelBody(model)) : `${name} is changed.`
      })
    })

  catalog
    .command('card')
    .description('write the card of a model, of its live version or of another one')
    .argument('<model[@version]>', 'guide, guide@3', readReference)
    .option('--html', 'as a page, instead of Markdown')
    .addHelpText('after', '\nExample:\n  headrace catalog card guide --html > guide.html')
    .action(({ model, number }: Reference, flags: { html?: boolean }) =>
      run(async (found) => {
        const card = writeCard(await collectCard(found, model, number ?? undefined, new Date()))
        return (flags.html ? cardPage(`${model}: model card`, card).html : card).trimEnd()
      }),
    )

  addVersionCommands(catalog, run, deps)
  addRequirementCommands(catalog, run)
  addNoteCommands(catalog, run)
  addEvaluationCommands(catalog, run)
  return catalog
}

function addModelOptions(command: Command): Command {
  return command
    .addOption(textOption('--task <word>', 'chat, embeddings, rerank, classify, …'))
    .addOption(textOption('--owner <name>', 'who answers for it'))
    .addOption(textOption('--description <text>', 'what it is'))
    .addOption(textOption('--intended-use <text>', 'what it is for, and what not'))
    .addOption(textOption('--user-guide <text>', 'how to ask it'))
    .addOption(textOption('--known-issues <text>', 'what it gets wrong'))
    .addOption(textOption('--licence <name>', 'SPDX id'))
    .addOption(
      new Option('--tag <name=value>', 'a word of your own; name= takes it away').argParser(
        readTag,
      ),
    )
    .addOption(priceOption())
    .addOption(
      fileOption('--limits <file>', 'a JSON object: context_tokens, output_tokens, …; none'),
    )
    .option('--json', 'as JSON')
}

function saidOfModel(flags: ModelFlags) {
  return {
    task: orNull(flags.task),
    owner: orNull(flags.owner),
    description: orNull(flags.description),
    intended_use: orNull(flags.intendedUse),
    user_guide: orNull(flags.userGuide),
    known_issues: orNull(flags.knownIssues),
    licence: orNull(flags.licence),
    tags: flags.tag,
    price: orNull(flags.price),
    limits: orNull(flags.limits) === null ? NO_LIMITS : flags.limits,
  }
}

/** Each is taken away by itself. */
const NO_LIMITS: Record<keyof CatalogLimits, null> = {
  context_tokens: null,
  output_tokens: null,
  requests_per_minute: null,
  concurrent_requests: null,
}

function modelTable(models: ListedModel[]): string {
  if (models.length === 0) return 'The catalog is empty. Import a model: headrace models import'
  const rows = models.map((model) => [
    model.name,
    model.task ?? '-',
    model.owner ?? '-',
    String(model.versions),
    model.newestReady === null ? '-' : `${model.name}@${model.newestReady}`,
    model.licence ?? '-',
  ])
  return asTable(['MODEL', 'TASK', 'OWNER', 'VERSIONS', 'NEWEST READY', 'LICENCE'], rows)
}

function versionTable(versions: CatalogVersion[], standings: readonly (Standing | null)[]): string {
  if (versions.length === 0) return 'There are no such versions.'
  const rows = versions.map((version, index) => [
    version.id,
    version.condition === 'present' ? version.state : `${version.state}, ${version.condition}`,
    standings[index]?.role ?? '-',
    version.kind === 'local' ? (version.precision ?? '-') : `${version.upstream}: ${version.asks}`,
    version.baseModel ?? '-',
    timeCell(version.createdAt),
    version.createdBy ?? '-',
  ])
  return asTable(['VERSION', 'STATE', 'TRAFFIC', 'IS', 'BASE MODEL', 'MADE', 'BY'], rows)
}
