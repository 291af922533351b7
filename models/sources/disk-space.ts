// Refuses work that the disk has no room for, before it starts.

import { statfs } from 'node:fs/promises'

import { SourceError } from './fetched.ts'

// Databases and logs share the disk: the last of it is not ours.
const LEFT_FREE_BYTES = 64 * 2 ** 20

/** @throws SourceError that says how much is needed and how much there is */
export async function ensureRoom(folder: string, bytes: number, what: string): Promise<void> {
  const { bavail, bsize } = await statfs(folder)
  const free = bavail * bsize
  if (bytes + LEFT_FREE_BYTES <= free) return
  throw new SourceError(
    `${what} needs ${megabytes(bytes + LEFT_FREE_BYTES)} MB at ${folder}, where ${megabytes(free)} MB are free`,
  )
}

const megabytes = (bytes: number) => Math.ceil(bytes / 1e6)
