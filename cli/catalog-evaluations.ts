// `headrace catalog evaluate`, `evaluations`: what versions achieved on datasets.

import { InvalidArgumentError, Option } from 'commander'
import type { Command } from 'commander'

import { tellEvaluations } from '../gateway/catalog/evaluations.ts'
import { listEvaluations } from '../gateway/db/catalog-evaluations.ts'
import { EvaluationBatch, evaluationBody } from '../gateway/dialects/admin/catalog-evaluation.ts'
import { addPageOptions, moreRows, pageOf, readTime } from './arguments.ts'
import {
  checked,
  readJsonFile,
  readNumber,
  readReference,
  readVersionId,
} from './catalog-arguments.ts'
import { asTable, json, timeCell } from './table.ts'
import type { Evaluation } from '../gateway/db/catalog-evaluations.ts'
import type { PageFlags } from './arguments.ts'
import type { Reference } from './catalog-arguments.ts'
import { requireReference } from './catalog-database.ts'
import type { WithCatalog } from './catalog-database.ts'

interface EvaluateFlags {
  file?: unknown
  dataset?: string
  split?: string
  metric?: string
  value?: number
  lowerIsBetter?: boolean
  samples?: number
  run?: string
  at?: Date
  json?: boolean
}

export function addEvaluationCommands(catalog: Command, run: WithCatalog) {
  catalog
    .command('evaluate')
    .description('tell what a version achieved on a dataset')
    .argument('<model@version>', 'guide@3', readVersionId)
    .option('--dataset <name>', 'what it was measured on')
    .option('--split <name>', 'of the dataset')
    .option('--metric <name>', 'accuracy, f1, perplexity, …')
    .addOption(new Option('--value <number>', 'what it achieved').argParser(readNumber))
    .option('--lower-is-better', 'as of losses and error rates')
    .addOption(new Option('--samples <count>', 'that were measured').argParser(readNumber))
    .option('--run <reference>', 'of whatever evaluated')
    .addOption(new Option('--at <time>', 'when; without it now').argParser(readTime))
    .addOption(
      new Option('--file <file>', 'instead: a JSON array, as the admin API takes it')
        .argParser(readJsonFile)
        .conflicts([
          'dataset',
          'split',
          'metric',
          'value',
          'lowerIsBetter',
          'samples',
          'run',
          'at',
        ]),
    )
    .option('--json', 'as JSON')
    .addHelpText(
      'after',
      '\nExample:\n  headrace catalog evaluate guide@3 --dataset tickets --split test --metric f1 --value 0.91',
    )
    .action((id: string, flags: EvaluateFlags) =>
      run(async ({ pool, actor }) => {
        const drafts = flags.file === undefined ? [draftOf(flags)] : flags.file
        const { evaluations } = checked(EvaluationBatch, { evaluations: drafts })
        const told = await tellEvaluations(pool, actor, id, evaluations)
        if (flags.json) return json(told.map(evaluationBody))
        return `${told.length === 1 ? 'The evaluation' : `${told.length} evaluations`} of ${id} ${told.length === 1 ? 'is' : 'are'} kept.`
      }),
    )

  addPageOptions(
    catalog
      .command('evaluations')
      .description('list what versions achieved, as it was told, newest first')
      .argument('<model[@version]>', 'guide, guide@3', readReference)
      .option('--dataset <name>', 'only on this one')
      .option('--metric <name>', 'only this one'),
  )
    .addHelpText('after', '\nExample:\n  headrace catalog evaluations guide --metric f1')
    .action(
      (
        { model, number }: Reference,
        { dataset, metric, ...flags }: PageFlags & { dataset?: string; metric?: string },
      ) =>
        run(async ({ pool }) => {
          const version = await requireReference(pool, { model, number })
          const filter = { model, version, dataset, metric }
          const page = await listEvaluations(pool, filter, pageOf(flags))
          if (flags.json) return json(page.rows.map(evaluationBody))
          return table(page.rows) + moreRows(page.hasMore, page.rows.at(-1)?.id)
        }),
    )
}

function draftOf({ dataset, split, metric, value, samples, run, ...flags }: EvaluateFlags) {
  if (dataset === undefined || metric === undefined || value === undefined) {
    throw new InvalidArgumentError('Name --dataset, --metric and --value; or --file.')
  }
  return {
    dataset,
    split,
    metric,
    value,
    higher_is_better: flags.lowerIsBetter !== true,
    sample_size: samples,
    run,
    measured_at: flags.at?.toISOString(),
  }
}

function table(evaluations: Evaluation[]): string {
  if (evaluations.length === 0) return 'There are no such evaluations.'
  const rows = evaluations.map((each) => [
    each.version,
    each.dataset,
    each.split || '-',
    each.metric,
    String(each.value),
    each.sampleSize?.toString() ?? '-',
    timeCell(each.measuredAt),
    each.measuredBy,
  ])
  const headings = ['VERSION', 'DATASET', 'SPLIT', 'METRIC', 'VALUE', 'SAMPLES', 'MEASURED', 'BY']
  return asTable(headings, rows)
}
