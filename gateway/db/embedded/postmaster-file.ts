// What PostgreSQL writes down about itself in `postmaster.pid` while it runs, and what is left of it after a crash.

import { execFile } from 'node:child_process'
import { readFile, rm, writeFile } from 'node:fs/promises'
import { basename, join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { promisify } from 'node:util'

import type { Logger } from '../../logger.ts'

const run = promisify(execFile)

export interface Postmaster {
  pid: number
  port: number
  socketFolder: string
  /** it takes connections, or did when it wrote that */
  isReady: boolean
}

/** how folders of its socket begin */
export const SOCKET_FOLDER_NAME = 'headrace-postgres'

const STOP_TIMEOUT_MS = 20_000
const POLL_MS = 25
/** No process has it: Linux gives out numbers up to 4194304, macOS fewer. */
const NO_PID = 4_194_305

export async function readPostmaster(cluster: string): Promise<Postmaster | null> {
  let text: string
  try {
    text = await readFile(join(cluster, 'postmaster.pid'), 'utf8')
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return null
    throw error
  }
  // The lines' meanings: PostgreSQL's miscadmin.h, LOCK_FILE_LINE.
  const [pid, , , port, socketFolder, , , status] = text.split('\n')
  return {
    pid: Number(pid),
    port: Number(port),
    socketFolder: socketFolder ?? '',
    isReady: status?.trim() === 'ready',
  }
}

/** Stops a server that outlived its Headrace; without one, makes sure that what it left does not prevent a start. */
export async function stopOrphan(cluster: string, logger: Logger): Promise<void> {
  const postmaster = await readPostmaster(cluster)
  if (!postmaster) return
  if (isAlive(postmaster.pid)) await clearTheWay(postmaster.pid, cluster, logger)
  // What nobody came to remove; the name makes sure that it was made for this.
  const { socketFolder } = postmaster
  if (basename(socketFolder).startsWith(SOCKET_FOLDER_NAME)) {
    await rm(socketFolder, { recursive: true, force: true })
  }
}

async function clearTheWay(pid: number, cluster: string, logger: Logger): Promise<void> {
  if (!(await isServerOf(pid, cluster))) {
    // PostgreSQL would take whoever has the number now for its server. The rest of the file stays: by it PostgreSQL
    // finds out whether a process of the old server still uses the data.
    const file = join(cluster, 'postmaster.pid')
    const text = await readFile(file, 'utf8')
    await writeFile(file, text.replace(/^-?\d+/, String(NO_PID)))
    return
  }
  logger.warn({ pid }, 'PostgreSQL is still running from an earlier start; it is stopped first')
  process.kill(pid, 'SIGINT')
  if (await ends(pid)) return
  process.kill(pid, 'SIGQUIT')
  if (await ends(pid)) return
  throw new Error(`PostgreSQL from an earlier start (process ${pid}) can't be stopped.`)
}

async function ends(pid: number): Promise<boolean> {
  const deadline = performance.now() + STOP_TIMEOUT_MS
  while (performance.now() < deadline) {
    if (!isAlive(pid)) return true
    await sleep(POLL_MS)
  }
  return false
}

function isAlive(pid: number): boolean {
  if (!(pid > 1)) return false
  try {
    process.kill(pid, 0)
    return true
  } catch (error) {
    return error instanceof Error && 'code' in error && error.code === 'EPERM'
  }
}

/** A number is soon given to another process; its command line says whose server it is. */
async function isServerOf(pid: number, cluster: string): Promise<boolean> {
  try {
    const command =
      process.platform === 'linux'
        ? await readFile(`/proc/${pid}/cmdline`, 'utf8')
        : (await run('ps', ['-o', 'command=', '-p', String(pid)])).stdout
    return command.includes(cluster)
  } catch {
    return false
  }
}
