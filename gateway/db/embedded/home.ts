// Where the embedded PostgreSQL keeps its files, and who runs it.
//
// PostgreSQL refuses to run as root. The rule here is that it runs as whoever owns its folder: an ordinary user's own,
// and for root the system user that is chosen when the folder is made. Where that user can't enter the data folder
// (below /root, say), the files are kept under /var/lib/headrace and a link in the data folder leads there.
//
// Knows: users, folders. Does not know: what PostgreSQL puts there.

import { execFile } from 'node:child_process'
import { chmod, chown, mkdir, mkdtemp, realpath, stat, symlink } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'

import type { Logger } from '../../logger.ts'

const run = promisify(execFile)

/** as child_process takes them; empty where processes stay with the user who starts them */
export type RunAs = { uid: number; gid: number } | Record<string, never>

export interface ClusterHome {
  path: string
  runAs: RunAs
}

/** root's own place for what a system user has to reach */
export const SYSTEM_FOLDER = '/var/lib/headrace'

const SYSTEM_USER = 'headrace'

export async function openClusterHome(dataDir: string, logger: Logger): Promise<ClusterHome> {
  const isRoot = process.getuid?.() === 0
  const entry = join(dataDir, 'postgres')
  const found = await realpath(entry).catch(() => null)
  const path = found ?? (await (isRoot ? makeForSystemUser(entry, dataDir, logger) : make(entry)))

  const owner = await stat(path)
  if (!isRoot) {
    if (owner.uid === process.getuid?.()) return { path, runAs: {} }
    throw new Error(
      `The database in ${path} belongs to the user with id ${owner.uid}; start Headrace as that user or as root, ` +
        `or set HEADRACE_DATA_DIR to another folder.`,
    )
  }
  const runAs = { uid: owner.uid, gid: owner.gid }
  if (owner.uid === 0) {
    throw new Error(
      `The database in ${path} belongs to root, and PostgreSQL does not run as root. ` +
        `Give the folder to another user: chown -R postgres ${path}`,
    )
  }
  if (!(await canReach(runAs, path))) {
    throw new Error(
      `The database in ${path} belongs to the user with id ${owner.uid}, who can't enter that folder any more. ` +
        `Let others pass the folders above it (chmod o+x).`,
    )
  }
  return { path, runAs }
}

/** PostgreSQL reads a good part of the environment; none of what the operator has set there is meant for this one. */
export function processOptions(runAs: RunAs) {
  return { ...runAs, cwd: '/', env: { PATH: '/usr/bin:/bin', LC_ALL: 'C' } }
}

/** Whether a user can enter that folder, or run that program. */
export async function canReach(runAs: RunAs, path: string): Promise<boolean> {
  try {
    await run('/bin/sh', ['-c', '[ -x "$0" ]', path], { ...runAs, cwd: '/' })
    return true
  } catch {
    return false
  }
}

async function make(path: string): Promise<string> {
  await mkdir(path, { mode: 0o700 })
  return realpath(path)
}

async function makeForSystemUser(entry: string, dataDir: string, logger: Logger): Promise<string> {
  const { name, ...runAs } = await findSystemUser(logger)
  let path: string
  if (await canReach(runAs, dataDir)) {
    path = await make(entry)
  } else {
    await mkdir(SYSTEM_FOLDER, { recursive: true })
    await chmod(SYSTEM_FOLDER, 0o755)
    path = await mkdtemp(join(SYSTEM_FOLDER, 'postgres-'))
    await symlink(path, entry)
    logger.info(
      { folder: path },
      `the database is kept in ${path}: PostgreSQL runs as the user ${name}, who can't enter ${dataDir}`,
    )
  }
  await chown(path, runAs.uid, runAs.gid)
  return path
}

interface SystemUser {
  name: string
  uid: number
  gid: number
}

/** Our own, PostgreSQL's, or our own newly made; `nobody` where none can be made. */
async function findSystemUser(logger: Logger): Promise<SystemUser> {
  const found = (await lookUp(SYSTEM_USER)) ?? (await lookUp('postgres'))
  if (found) return found
  const options = ['--system', '--user-group', '--no-create-home', '--shell', '/usr/sbin/nologin']
  await run('useradd', [...options, SYSTEM_USER]).catch(() => {})
  const made = await lookUp(SYSTEM_USER)
  if (made) {
    const message = `the system user ${SYSTEM_USER} was made: PostgreSQL does not run as root`
    logger.info({ user: SYSTEM_USER }, message)
    return made
  }
  const nobody = await lookUp('nobody')
  if (nobody) return nobody
  throw new Error(
    'PostgreSQL does not run as root, and no other user could be found or made. ' +
      `Make one (useradd --system ${SYSTEM_USER}), start Headrace as an ordinary user, or set DATABASE_URL.`,
  )
}

async function lookUp(name: string): Promise<SystemUser | null> {
  try {
    const [uid, gid] = await Promise.all([run('id', ['-u', name]), run('id', ['-g', name])])
    return { name, uid: Number(uid.stdout), gid: Number(gid.stdout) }
  } catch {
    return null
  }
}
