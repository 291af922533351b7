// A private folder for unix sockets, short enough for their paths.
//
// A socket's path may have 107 bytes (103 on macOS), and a data folder can be anywhere; so sockets live in a folder of
// their own under the system's temporary folder, which nobody else can enter.

import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

export interface SocketFolder {
  path: string
  remove(): Promise<void>
}

/** leaves room for the random part and a socket's name; and PostgreSQL takes a comma for the end of the path */
const USABLE_BASE = /^[^,"\s]{1,60}$/

export async function createSocketFolder(name: string): Promise<SocketFolder> {
  const base = USABLE_BASE.test(tmpdir()) ? tmpdir() : '/tmp'
  // mkdtemp makes it with mode 0700.
  const path = await mkdtemp(join(base, `${name}-`))
  return { path, remove: () => rm(path, { recursive: true, force: true }) }
}
