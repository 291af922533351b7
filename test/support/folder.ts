// A folder of a test's own, gone with it.

import { chmod, mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

import { defer } from './lasting.ts'
import type { Lasting } from './lasting.ts'

export async function makeFolder(t: Lasting, name = 'test', beside = tmpdir()): Promise<string> {
  const folder = await mkdtemp(join(beside, `headrace-${name}-`))
  // As any folder of a project is: where root runs the tests, PostgreSQL's user has to get into it.
  await chmod(folder, 0o755)
  defer(t, () => rm(folder, { recursive: true, force: true }))
  return folder
}
