// Folders in which files are made before they go to their place. Whoever ended too early to clean up leaves one behind.

import { mkdtemp, readdir, rm, stat } from 'node:fs/promises'
import { join } from 'node:path'

const PREFIX = '.headrace-export-'
/** No file of an export is made for longer. */
const FORGOTTEN_MS = 24 * 60 * 60_000

/** @returns a new folder within that one, in which those that were forgotten are no more */
export async function openWorkshop(within: string): Promise<string> {
  for (const name of await readdir(within)) {
    if (!name.startsWith(PREFIX)) continue
    const path = join(within, name)
    const { mtimeMs } = await stat(path).catch(() => ({ mtimeMs: Infinity }))
    if (Date.now() - mtimeMs > FORGOTTEN_MS) await rm(path, { recursive: true, force: true })
  }
  return mkdtemp(join(within, PREFIX))
}
