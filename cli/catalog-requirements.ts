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
      '\nExample:\n  headrace catalog require guide --min tickets:f1=0.9 --max tickets:loss=1.2' +
        '\n  headrace catalog require guide --drop tickets:loss' +
        '\n\nWhat is not named stays, the other bound of a metric too; without options they are listed.',
    )
    .action((model: string, flags: RequireFlags) =>
      run(async ({ pool, actor }) => {
        await getCatalogModel(pool, model)
        const { min = [], max = [], drop = [] } = flags
        const isAsked = min.length + max.length + drop.length === 0
        if (isAsked) {
          const now = await listRequirements(pool, model)
          return flags.json ? json(requirementsBody(model, now)) : tableOf(now)
        }
        const after = await setRequirements(pool, actor, model, (before) => {
          const requirements = merged(before, { min, max, drop })
          return readRequirements(checked(RequirementsDraft, { requirements }))
        })
        return flags.json ? json(requirementsBody(model, after)) : tableOf(after)
      }),
    )
}

/** What is not named stays, the other bound of what is named too. */
function merged(
  before: readonly Requirement[],
  { min, max, drop }: Required<Omit<RequireFlags, 'json'>>,
): Requirement[] {
  const required = new Map(before.map((each) => [keyOf(each), each]))
  for (const named of drop) {
    if (required.delete(keyOf(named))) continue
    const { dataset, metric } = named
    throw new InvalidArgumentError(`${dataset}:${metric} is not required, and can't be dropped.`)
  }
  const bounded = ({ dataset, metric }: Named, bound: Partial<Requirement>) => {
    const known = required.get(keyOf({ dataset, metric })) ?? { min: null, max: null }
    const whole = { ...known, dataset, metric, ...bound }
    if (whole.min !== null && whole.max !== null && whole.min > whole.max) {
      const both = `at least ${whole.min} and at most ${whole.max}`
      throw new InvalidArgumentError(
        `${dataset}:${metric} can't be ${both}: drop it, or name both.`,
      )
    }
    required.set(keyOf({ dataset, metric }), whole)
  }
  const said = new Map<string, Named & Partial<Requirement>>()
  for (const { value, ...named } of min) said.set(keyOf(named), { ...named, min: value })
  for (const { value, ...named } of max) {
    said.set(keyOf(named), { ...said.get(keyOf(named)), ...named, max: value })
  }
  for (const { dataset, metric, ...bound } of said.values()) bounded({ dataset, metric }, bound)
  return [...required.values()]
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
