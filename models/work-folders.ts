// Folders in which something is being made, named for the process that makes it.
//
// A download or an import that is cut off leaves its folder behind. Because the owner stands in the name, whoever comes
// next can tell a leftover from work in progress, and taking one over is a rename: atomic, so two never get the same one.
//
// Knows: processes and folder names. Does not know: what is made in the folders.

import { randomBytes } from 'node:crypto'
import { mkdir, readdir, readFile, rename, rm, stat } from 'node:fs/promises'
import { hostname } from 'node:os'
import { join } from 'node:path'

// Of a process on another host (a data folder shared by containers) nothing can be asked. Work writes all the time, so a
// folder in which nothing changed for this long is taken for left behind.
const QUIET_MS = 60 * 60 * 1000

interface Owner {
  host: string
  pid: number
  /** the process's start as the kernel counts it: a pid alone is soon given to somebody else */
  started: string
}

/** Makes an empty folder that belongs to this process. @param label what is made, without `~` */
export async function createWorkFolder(parent: string, label: string): Promise<string> {
  const path = join(parent, await ownName(label))
  await mkdir(path, { recursive: true })
  return path
}

/** Takes over one folder of this label whose owner is gone, with what is in it; null where there is none. */
export async function claimWorkFolder(parent: string, label: string): Promise<string | null> {
  for (const name of await abandoned(parent)) {
    if (name.split('~')[0] !== label) continue
    const path = join(parent, await ownName(label))
    try {
      await rename(join(parent, name), path)
      return path
    } catch (error) {
      // Somebody else took it first.
      if (!isMissing(error)) throw error
    }
  }
  return null
}

/** Deletes what processes that are gone left in `parent`. */
export async function sweepWorkFolders(parent: string): Promise<void> {
  for (const name of await abandoned(parent)) {
    await rm(join(parent, name), { recursive: true, force: true })
  }
}

/** Nothing is at that path: not there, or a file stands where a folder would have to be. */
export function isMissing(error: unknown): boolean {
  if (!(error instanceof Error) || !('code' in error)) return false
  return error.code === 'ENOENT' || error.code === 'ENOTDIR'
}

/** @returns names of the folder's entries, none where the folder does not exist */
export async function namesIn(folder: string): Promise<string[]> {
  try {
    return await readdir(folder)
  } catch (error) {
    if (isMissing(error)) return []
    throw error
  }
}

async function ownName(label: string): Promise<string> {
  const started = (await startOf(process.pid)) ?? '0'
  return [label, ownHost(), process.pid, started, randomBytes(6).toString('hex')].join('~')
}

async function abandoned(parent: string): Promise<string[]> {
  const gone: string[] = []
  for (const name of await namesIn(parent)) {
    const owner = ownerIn(name)
    if (owner && !(await isAtWork(owner, join(parent, name)))) gone.push(name)
  }
  return gone
}

function ownerIn(name: string): Owner | null {
  const [, host, pid, started] = name.split('~')
  if (host === undefined || pid === undefined || started === undefined) return null
  return { host, pid: Number(pid), started }
}

async function isAtWork(owner: Owner, path: string): Promise<boolean> {
  if (owner.host !== ownHost()) return Date.now() - (await lastChangeIn(path)) < QUIET_MS
  const started = await startOf(owner.pid)
  if (started !== null) return started === owner.started
  // Where there is no /proc, a living process of that number has to do.
  if (process.platform === 'linux') return false
  try {
    process.kill(owner.pid, 0)
    return true
  } catch (error) {
    return error instanceof Error && 'code' in error && error.code === 'EPERM'
  }
}

/** Field 22 of /proc/<pid>/stat; the name before it may itself hold spaces and brackets. */
async function startOf(pid: number): Promise<string | null> {
  try {
    const text = await readFile(`/proc/${pid}/stat`, 'utf8')
    return text.slice(text.lastIndexOf(')') + 2).split(' ')[19] ?? null
  } catch {
    return null
  }
}

async function lastChangeIn(path: string): Promise<number> {
  let latest = 0
  try {
    latest = (await stat(path)).mtimeMs
    for (const name of await readdir(path, { recursive: true })) {
      latest = Math.max(latest, (await stat(join(path, name))).mtimeMs)
    }
  } catch (error) {
    if (!isMissing(error)) throw error
  }
  return latest
}

const ownHost = () => hostname().replaceAll(/[^A-Za-z0-9.-]/g, '-')
