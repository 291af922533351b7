// The data folder: made, and held by one process at a time.
//
// Node has no flock; SQLite, which Node carries, has one on every system: a transaction on an empty database is held by
// the kernel for as long as this process lives, however it ends, so that there is no such thing as a stale lock.
//
// Knows: folders, locks. Does not know: what is kept in the folder.

import { rmSync } from 'node:fs'
import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { DatabaseSync } from 'node:sqlite'

/** what holds the folder: a server, or a command that is soon done */
export type Holder = 'server' | 'command'

export interface DataFolderLock {
  release(): void
}

/** Somebody else has the folder; `holder` is null where they have not said yet who they are. */
export class DataFolderHeld extends Error {
  override name = 'DataFolderHeld'
  readonly holder: Holder | null

  constructor(message: string, holder: Holder | null) {
    super(message)
    this.holder = holder
  }
}

/** Commands of the command line are done by then; a server is not waited for. */
const COMMAND_TIMEOUT_MS = 15_000
const POLL_MS = 100
const SQLITE_BUSY = 5

/**
 * @param dataDir absolute
 * @throws DataFolderHeld where a server has it, or a command that does not end
 * @throws Error where the folder can't be made or written to
 */
export async function lockDataFolder(dataDir: string, holder: Holder): Promise<DataFolderLock> {
  await makeFolder(dataDir)
  const deadline = performance.now() + COMMAND_TIMEOUT_MS
  for (;;) {
    try {
      return await tryToLock(dataDir, holder)
    } catch (error) {
      const isWorthWaiting = error instanceof DataFolderHeld && error.holder !== 'server'
      if (!isWorthWaiting || performance.now() > deadline) throw error
      await sleep(POLL_MS)
    }
  }
}

async function makeFolder(dataDir: string): Promise<void> {
  try {
    await mkdir(dataDir, { recursive: true })
  } catch (error) {
    throw unusable(dataDir, error)
  }
}

async function tryToLock(dataDir: string, holder: Holder): Promise<DataFolderLock> {
  const note = join(dataDir, 'lock-holder')
  let database: DatabaseSync | null = null
  try {
    database = new DatabaseSync(join(dataDir, 'lock'), { timeout: 0 })
    database.exec('BEGIN EXCLUSIVE')
    await writeFile(note, `${process.pid} ${holder}\n`)
  } catch (error) {
    if (database?.isOpen) database.close()
    if (!isBusy(error)) throw unusable(dataDir, error)
    throw heldBy(dataDir, await readFile(note, 'utf8').catch(() => ''))
  }
  const held = database
  return {
    release: () => {
      if (!held.isOpen) return
      // First, so that whoever comes next never reads who was here before.
      rmSync(note, { force: true })
      held.close()
    },
  }
}

function heldBy(dataDir: string, note: string): DataFolderHeld {
  const [pid, kind] = note.trim().split(' ')
  const holder = kind === 'server' || kind === 'command' ? kind : null
  return new DataFolderHeld(
    `The data folder ${dataDir} is in use by another Headrace (process ${pid || 'unknown'}); ` +
      'stop that one, or set HEADRACE_DATA_DIR to another folder.',
    holder,
  )
}

function unusable(dataDir: string, cause: unknown): Error {
  const reason = cause instanceof Error ? cause.message : String(cause)
  return new Error(`The data folder ${dataDir} can't be used: ${reason}.`, { cause })
}

function isBusy(error: unknown): boolean {
  return error instanceof Error && 'errcode' in error && error.errcode === SQLITE_BUSY
}
