// `headrace projects …`: make, list, change and archive projects, whose limits hold for all of their keys together.
//
// Exit codes: 0 done, 1 it failed, 2 the command makes no sense.

import { Command, Option } from 'commander'

import { changeProject, createProject, getProject } from '../gateway/administration/projects.ts'
import { listProjects } from '../gateway/db/projects.ts'
import { projectBody } from '../gateway/dialects/admin/project.ts'
import {
  addLimitOptions,
  addPageOptions,
  bodiesOption,
  limitsOf,
  moreRows,
  orNull,
  pageOf,
  readDays,
  readName,
  readTag,
  refuseNothing,
} from './arguments.ts'
import { withDatabase } from './database.ts'
import { asTable, json, timeCell } from './table.ts'
import type { BodyPolicy } from '../gateway/callers/body-policy.ts'
import type { TagsPatch } from '../gateway/dialects/admin/fields.ts'
import type { Project } from '../gateway/db/projects.ts'
import type { LimitFlags, OrNothing, PageFlags } from './arguments.ts'
import type { DatabaseCommandDeps } from './database.ts'

interface ProjectFlags extends LimitFlags {
  tag?: TagsPatch
  keepTextsDays?: OrNothing<number>
  bodies?: OrNothing<BodyPolicy>
  json?: boolean
}

export function projectsCommand(deps: DatabaseCommandDeps): Command {
  const run = withDatabase(deps)
  const projects = new Command('projects').description('make, list, change and archive projects')
  const show = (project: Project, done: string, flags: ProjectFlags) =>
    flags.json ? json(projectBody(project)) : `${project.name} is ${done}.`

  addProjectOptions(
    projects
      .command('create')
      .description('make a project')
      .argument('<name>', 'what keys are put into', readName),
  )
    .addHelpText('after', '\nExample:\n  headrace projects create search --monthly-usd 500')
    .action((name: string, flags: ProjectFlags) =>
      run(async (pool, actor) => {
        const draft = { name, ...changesOf(flags) }
        return show(await createProject(pool, actor, draft), 'made', flags)
      }),
    )

  addPageOptions(
    projects.command('list').description('list projects, newest first, archived ones too'),
  )
    .addHelpText('after', '\nExample:\n  headrace projects list --json')
    .action((flags: PageFlags) =>
      run(async (pool) => {
        const { rows, hasMore } = await listProjects(pool, { withArchived: true }, pageOf(flags))
        if (flags.json) return json(rows.map(projectBody))
        return table(rows) + moreRows(hasMore, rows.at(-1)?.id)
      }),
    )

  projects
    .command('show')
    .description('show all that is known of a project')
    .argument('<project>', 'its id or its name')
    .addHelpText('after', '\nExample:\n  headrace projects show search')
    .action((project: string) =>
      run(async (pool) => json(projectBody(await getProject(pool, project)))),
    )

  addProjectOptions(
    projects
      .command('update')
      .description('change a project; what is not named stays')
      .argument('<project>', 'its id or its name')
      .addOption(new Option('--name <name>', 'another name').argParser(readName)),
  )
    .addHelpText('after', '\nExample:\n  headrace projects update search --monthly-usd none')
    .action((project: string, { name, ...flags }: ProjectFlags & { name?: string }) => {
      refuseNothing({ ...flags, name })
      return run(async (pool, actor) => {
        const patch = { name, ...changesOf(flags) }
        return show(await changeProject(pool, actor, project, patch), 'changed', flags)
      })
    })

  projects
    .command('archive')
    .description('refuse the keys of a project from now on')
    .argument('<project>', 'its id or its name')
    .addHelpText('after', '\nExample:\n  headrace projects archive search')
    .action((project: string) =>
      run(async (pool, actor) =>
        show(await changeProject(pool, actor, project, { archived: true }), 'archived', {}),
      ),
    )

  projects
    .command('restore')
    .description('take a project, and its keys, back into use')
    .argument('<id>', 'its id: its name may be that of another by now')
    .addHelpText(
      'after',
      '\nExample:\n  headrace projects restore 019a2b4c-0000-7000-8000-000000000000',
    )
    .action((id: string) =>
      run(async (pool, actor) =>
        show(await changeProject(pool, actor, id, { archived: false }), 'restored', {}),
      ),
    )
  return projects
}

function changesOf(flags: ProjectFlags) {
  return {
    limits: limitsOf(flags),
    tags: flags.tag,
    bodies: orNull(flags.bodies),
    bodies_retention_days: orNull(flags.keepTextsDays),
  }
}

function addProjectOptions(command: Command): Command {
  return addLimitOptions(command)
    .addOption(bodiesOption())
    .addOption(
      new Option(
        '--keep-texts-days <days>',
        'delete prompts and answers sooner than the server does; none: not sooner',
      ).argParser(readDays),
    )
    .addOption(
      new Option('--tag <name=value>', 'a word of your own; name= takes it away').argParser(
        readTag,
      ),
    )
    .option('--json', 'as JSON')
}

function table(projects: Project[]): string {
  if (projects.length === 0) {
    return 'There are no projects yet. Make one: headrace projects create NAME'
  }
  const rows = projects.map((project) => [
    project.name,
    timeCell(project.createdAt),
    timeCell(project.archivedAt),
    project.id,
  ])
  return asTable(['NAME', 'CREATED', 'ARCHIVED', 'ID'], rows)
}
