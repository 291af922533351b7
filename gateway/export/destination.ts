// Where exported days go: a folder, or a bucket that speaks S3.
//
// Names are paths below the destination, with slashes. A file is there as a whole or not at all.

import { tmpdir } from 'node:os'
import { resolve } from 'node:path'
import { fileURLToPath } from 'node:url'

import { Bucket, readBucketSettings } from './bucket.ts'
import { Folder } from './folder.ts'

export interface LocalFile {
  path: string
  bytes: number
  /** in hex */
  sha256: string
}

export interface Destination {
  /** an address without secrets */
  readonly name: string
  /** an existing folder on this machine, within which files are made before they are put */
  readonly workshop: string
  /** @returns null where there is none of that name */
  read(name: string): Promise<string | null>
  write(name: string, text: string): Promise<void>
  /** The local file may be gone afterwards. */
  put(name: string, file: LocalFile): Promise<void>
  /** Also where there is none of that name. */
  remove(name: string): Promise<void>
  close(): Promise<void>
}

/**
 * @param exportUrl file:///path or s3://bucket/prefix
 * @param env for a bucket: AWS_ACCESS_KEY_ID and so on
 * @throws Error that says which of them is missing
 */
export async function openDestination(
  exportUrl: string,
  env: Record<string, string | undefined>,
): Promise<Destination> {
  if (exportUrl.startsWith('file:')) return Folder.open(fileURLToPath(exportUrl))
  return new Bucket(readBucketSettings(exportUrl, env), tmpdir())
}

/** @param path of a folder that may not be there yet */
export function openFolder(path: string): Promise<Destination> {
  return Folder.open(resolve(path))
}
