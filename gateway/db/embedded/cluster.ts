// The files of the embedded PostgreSQL's cluster and the password that opens it, made at the first start.

import { execFile } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { chown, readFile, rename, rm, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'

import { processOptions } from './home.ts'
import type { ClusterHome } from './home.ts'

const run = promisify(execFile)

/** PostgreSQL's own superuser; the system has no user of that name to confuse it with */
export const CLUSTER_USER = 'headrace'

export interface Cluster {
  path: string
  password: string
}

/** @param isDurable false: made faster, and lost if the machine crashes */
export async function openCluster(
  home: ClusterHome,
  initdb: string,
  isDurable: boolean,
): Promise<Cluster> {
  const password = await keepPassword(home)
  const path = clusterIn(home.path)
  const isThere = await stat(path).catch(() => null)
  if (!isThere) await makeCluster(home, initdb, isDurable)
  return { path, password }
}

export function clusterIn(home: string): string {
  return join(home, 'cluster')
}

export function passwordFileIn(home: string): string {
  return join(home, 'password')
}

async function keepPassword({ path, runAs }: ClusterHome): Promise<string> {
  const file = passwordFileIn(path)
  const kept = await readFile(file, 'utf8').catch(() => null)
  if (kept) return kept
  const password = randomBytes(24).toString('base64url')
  await writeFile(file, password, { mode: 0o600 })
  if ('uid' in runAs) await chown(file, runAs.uid, runAs.gid)
  return password
}

async function makeCluster(home: ClusterHome, initdb: string, isDurable: boolean): Promise<void> {
  const cluster = clusterIn(home.path)
  // Made beside its place, so that an interrupted first start is never taken for a cluster.
  const partial = `${cluster}.partial`
  await rm(partial, { recursive: true, force: true })
  const flags = [
    `--pgdata=${partial}`,
    `--username=${CLUSTER_USER}`,
    `--pwfile=${passwordFileIn(home.path)}`,
    '--auth=scram-sha-256',
    '--encoding=UTF8',
    // PostgreSQL's own locale, the same on every machine
    '--no-locale',
    '--locale-provider=builtin',
    '--builtin-locale=C.UTF-8',
    ...(isDurable ? [] : ['--no-sync']),
  ]
  try {
    await run(initdb, flags, processOptions(home.runAs))
  } catch (error) {
    const words = error instanceof Error && 'stderr' in error ? String(error.stderr).trim() : ''
    throw new Error(
      `PostgreSQL's files could not be made in ${home.path}: ${words || String(error)}`,
      { cause: error },
    )
  }
  await rename(partial, cluster)
}
