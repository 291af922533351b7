// `headrace catalog require`: what versions of a model must have been measured at before they may be deployed.
//
// Exit codes: 0 done, 1 it failed, 2 the command makes no sense.

import { InvalidArgumentError } from 'commander'
import type { Command } from 'commander'

import { setRequirements } from '../gateway/administration/requirements.ts'
import { getCatalogModel } from '../gateway/catalog/models.ts'
import { listRequirements } from '../gateway/db/requirements.ts'
import {
  readRequirements,
  requirementsBody,
  RequirementsDraft,
} from '../gateway/dialects/admin/requirement.ts'
import { checked } from './catalog-arguments.ts'
import { asTable, json } from './table.ts'
import type { Requirement } from '../gateway/db/requirements.ts'
import type { WithCatalog } from './catalog-database.ts'

interface Named {
  dataset: string
  metric: string
}

interface RequireFlags {
  min?: (Named & { value: number })[]
  max?: (Named & { value: number })[]
  drop?: Named[]
  json?: boolean
}

export function addRequirementCommands(catalog: Command, run: WithCatalog) {
  catalog
    .command('require')
    .description('say, or list, what versions of a model must be measured at to be deployed')
    .argument('<model>', 'as clients name it')
    .option('--min <dataset:metric=value>', 'at least that; may be given again', addBound)
    .option('--max <dataset:metric=value>', 'at most that; may be given again', addBound)
    .option('--drop <dataset:metric>', 'no longer; may be given again', addNamed)
    .option('--json', 'as JSON')
    .addHelpText(
      'after',
      '\nExample:\n  headrace catalog require guide --min tickets:f1=0.9 --max tickets:loss=1.2',
    )
    .action((model: string, flags: RequireFlags) =>
      run(async ({ pool, actor }) => {
        await getCatalogModel(pool, model)
        const { min = [], max = [], drop = [] } = flags
        const isAsked = min.length + max.length + drop.length === 0
        const before = await listRequirements(pool, model)
        if (isAsked) return flags.json ? json(requirementsBody(model, before)) : tableOf(before)
        const requirements = merged(before, { min, max, drop })
        const draft = checked(RequirementsDraft, { requirements })
        const after = await setRequirements(pool, actor, model, readRequirements(draft))
        return flags.json ? json(requirementsBody(model, after)) : tableOf(after)
      }),
    )
}

/** What is not named stays; both bounds of what is are said anew. */
function merged(
  before: readonly Requirement[],
  { min, max, drop }: Required<Omit<RequireFlags, 'json'>>,
): Requirement[] {
  const said = new Map<string, Requirement>()
  for (const { value, ...named } of min) said.set(keyOf(named), { ...named, min: value, max: null })
  for (const { value, ...named } of max) {
    const bound = said.get(keyOf(named))?.min ?? null
    said.set(keyOf(named), { ...named, min: bound, max: value })
  }
  const gone = new Set([...drop.map(keyOf), ...said.keys()])
  return [...before.filter((each) => !gone.has(keyOf(each))), ...said.values()]
}

const keyOf = ({ dataset, metric }: Named) => JSON.stringify([dataset, metric])

function addBound(text: string, before: RequireFlags['min'] = []) {
  const [, name = '', number = ''] = /^(.+)=([^=]+)$/.exec(text) ?? []
  const value = number.trim() === '' ? Number.NaN : Number(number)
  if (Number.isFinite(value)) return [...before, { ...readNamed(name), value }]
  throw new InvalidArgumentError('Allowed is dataset:metric=value, such as tickets:f1=0.9.')
}

const addNamed = (text: string, before: Named[] = []) => [...before, readNamed(text)]

/** The last colon parts them: names of datasets have some. */
function readNamed(text: string): Named {
  const [, dataset, metric] = /^(.+):([^:]+)$/.exec(text) ?? []
  if (dataset !== undefined && metric !== undefined) return { dataset, metric }
  throw new InvalidArgumentError('Allowed is dataset:metric, such as tickets:f1.')
}

function tableOf(requirements: readonly Requirement[]): string {
  if (requirements.length === 0) return 'Nothing is required.'
  return asTable(
    ['DATASET', 'METRIC', 'AT LEAST', 'AT MOST'],
    requirements.map(({ dataset, metric, min, max }) => [
      dataset,
      metric,
      String(min ?? '-'),
      String(max ?? '-'),
    ]),
  )
}
