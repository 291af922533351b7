// The key that may call everything: the operator's own, or one that is made at the first start and kept.

import { open, readFile } from 'node:fs/promises'
import { join } from 'node:path'

import { makeKey } from '../db/api-keys.ts'

export interface AdminKey {
  key: string
  /** where it is kept; null where the environment named it */
  file: string | null
  /** it was made by this start, and is to be shown this once */
  isNew: boolean
}

/** @param given HEADRACE_ADMIN_KEY @throws Error where the kept one can't be read */
export async function keepAdminKey(dataDir: string, given: string | null): Promise<AdminKey> {
  if (given !== null) return { key: given, file: null, isNew: false }
  const file = join(dataDir, 'admin-key')
  const kept = await read(file)
  if (kept !== null) return { key: kept, file, isNew: false }
  const key = makeKey('admin')
  const handle = await open(file, 'w', 0o600)
  try {
    // The mode of open() is only for files that it makes; an empty one may be there.
    await handle.chmod(0o600)
    await handle.writeFile(`${key}\n`)
    await handle.sync()
  } finally {
    await handle.close()
  }
  return { key, file, isNew: true }
}

async function read(file: string): Promise<string | null> {
  try {
    return (await readFile(file, 'utf8')).trim() || null
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return null
    throw new Error(`The admin key in ${file} can't be read: ${String(error)}`, { cause: error })
  }
}
