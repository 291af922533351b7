// `headrace catalog register`, `describe`, `ready`, `archive`, `delete`: versions, what they were made of, and their life.
//
// What only a server knows, which upstreams there are and what an engine holds, is asked of the one that runs.
//
// Exit codes: 0 done, 1 it failed, 2 the command makes no sense.

import type { Command } from 'commander'

import { changeVersion } from '../gateway/catalog/versions.ts'
import {
  UpstreamVersionDraft,
  versionBody,
  VersionPatch,
} from '../gateway/dialects/admin/catalog-version.ts'
import { orNull, refuseNothing } from './arguments.ts'
import {
  checked,
  fileOption,
  priceOption,
  readReference,
  readVersionId,
  textOption,
} from './catalog-arguments.ts'
import { serverApi } from './server-api.ts'
import { json } from './table.ts'
import type { OrNothing } from './arguments.ts'
import type { Reference } from './catalog-arguments.ts'
import type { WithCatalog } from './catalog-database.ts'
import type { DatabaseCommandDeps } from './database.ts'

interface VersionFlags {
  baseModel?: OrNothing<string>
  trainingData?: OrNothing<unknown>
  hyperparameters?: OrNothing<unknown>
  trainingRun?: OrNothing<string>
  changeNote?: OrNothing<string>
  createdBy?: OrNothing<string>
  price?: OrNothing<unknown>
  json?: boolean
}

interface RegisterFlags extends VersionFlags {
  upstream?: string
  asks?: string
  draft?: boolean
  licence?: OrNothing<string>
}

export function addVersionCommands(
  catalog: Command,
  run: WithCatalog,
  { loadSettings, stdout }: Pick<DatabaseCommandDeps, 'loadSettings' | 'stdout'>,
) {
  const ask = (method: 'POST' | 'DELETE', path: string, body?: object) =>
    serverApi(loadSettings()).ask(method, path, body)
  const say = (words: string) => void stdout.write(`${words}\n`)
  const modelPath = (model: string) => `/admin/catalog/models/${encodeURIComponent(model)}`
  const pathOf = (model: string) => `${modelPath(model)}/versions`

  addFacts(
    catalog
      .command('register')
      .description('tell of a version that an upstream answers; folders are there by themselves')
      .argument('<model>', 'as clients name it')
      .requiredOption('--upstream <name>', 'a declared one')
      .requiredOption('--asks <name>', 'what it is called there; best one that never changes')
      .option('--draft', 'not to be deployed yet')
      .addOption(textOption('--licence <name>', 'SPDX id')),
  )
    .addHelpText(
      'after',
      '\nExample:\n  headrace catalog register support --upstream openai --asks gpt-5-2026-02-01',
    )
    .action(async (model: string, flags: RegisterFlags) => {
      const { upstream, asks, licence } = flags
      const state = flags.draft ? 'draft' : undefined
      const draft = { upstream, asks, licence: orNull(licence), state, ...saidOfVersion(flags) }
      const told = await ask('POST', pathOf(model), checked(UpstreamVersionDraft, draft))
      say(flags.json ? json(told) : `${String(told['id'])} is in the catalog.`)
    })

  catalog
    .command('delete')
    .description(
      'delete a version for good: its folder goes, what was said of it stays; or a model that never had one',
    )
    .argument('<model[@version]>', 'guide@3, or guide', readReference)
    .addHelpText('after', '\nExample:\n  headrace catalog delete guide@3')
    .action(async ({ model, number }: Reference) => {
      await ask('DELETE', number === null ? modelPath(model) : `${pathOf(model)}/${number}`)
      say(`${number === null ? model : `${model}@${number}`} is deleted.`)
    })

  addFacts(
    catalog
      .command('describe')
      .description('say what a version was made of: each thing once, a draft excepted')
      .argument('<model@version>', 'guide@3', readVersionId),
  )
    .addHelpText('after', '\nExample:\n  headrace catalog describe guide@3 --change-note @new.md')
    .action((id: string, flags: VersionFlags) => {
      refuseNothing(flags)
      return run(async ({ pool, actor, liveIn }) => {
        const patch = checked(VersionPatch, saidOfVersion(flags))
        const version = await changeVersion({ pool, guards: { liveIn } }, actor, id, patch)
        return flags.json ? json(versionBody(version)) : `${id} is described.`
      })
    })

  for (const [name, state, about] of [
    ['archive', 'archived', 'put a version away: it is not to be deployed any more'],
    ['ready', 'ready', 'take a draft, or an archived version, into use'],
  ] as const) {
    catalog
      .command(name)
      .description(about)
      .argument('<model@version>', 'guide@3', readVersionId)
      .addHelpText('after', `\nExample:\n  headrace catalog ${name} guide@3`)
      .action((id: string) =>
        run(async ({ pool, actor, liveIn }) => {
          await changeVersion({ pool, guards: { liveIn } }, actor, id, { state })
          return `${id} is ${state}.`
        }),
      )
  }
}

function addFacts(command: Command): Command {
  return command
    .addOption(textOption('--base-model <name>', 'what it was fine-tuned from'))
    .addOption(fileOption('--training-data <file>', 'a JSON array of name, size, split, source'))
    .addOption(fileOption('--hyperparameters <file>', 'a JSON object'))
    .addOption(textOption('--training-run <reference>', 'of whatever trained it'))
    .addOption(textOption('--change-note <text>', 'what is new in it'))
    .addOption(textOption('--created-by <name>', 'who made it'))
    .addOption(priceOption())
    .option('--json', 'as JSON')
}

function saidOfVersion(flags: VersionFlags) {
  return {
    base_model: orNull(flags.baseModel),
    training_data: orNull(flags.trainingData),
    hyperparameters: orNull(flags.hyperparameters),
    training_run: orNull(flags.trainingRun),
    change_note: orNull(flags.changeNote),
    created_by: orNull(flags.createdBy),
    price: orNull(flags.price),
  }
}
