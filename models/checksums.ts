// Says whether files are what they were: sha256 and size of each.
//
// Knows: bytes and manifests. Does not know: where versions lie, what their files mean.

import { createHash } from 'node:crypto'
import { createReadStream } from 'node:fs'
import { readdir, stat } from 'node:fs/promises'
import { join } from 'node:path'

import { MANIFEST_FILE, readManifest } from './manifest.ts'
import { isMissing } from './work-folders.ts'
import type { Manifest } from './manifest.ts'

// Reads of 64 KiB (the default) leave the hash waiting; beyond 1 MiB nothing is gained.
const READ_BYTES = 1 << 20

/** @param onBytes told how many bytes were read since it was last told */
export async function sha256File(
  path: string,
  options: { signal?: AbortSignal; onBytes?: (bytes: number) => void } = {},
): Promise<string> {
  const hash = createHash('sha256')
  const stream = createReadStream(path, { highWaterMark: READ_BYTES, signal: options.signal })
  for await (const chunk of stream) {
    hash.update(chunk)
    options.onBytes?.(chunk.length)
  }
  return hash.digest('hex')
}

/** The `files` entry of a manifest: every file of a version folder but the manifest itself. */
export async function hashVersionFiles(
  folder: string,
  signal?: AbortSignal,
): Promise<Manifest['files']> {
  const files: Manifest['files'] = {}
  for (const name of await versionFiles(folder)) {
    const path = join(folder, name)
    const { size } = await stat(path)
    files[name] = { sha256: await sha256File(path, { signal }), bytes: size }
  }
  return files
}

/**
 * One sha256 for a checkpoint of several files: that of its sorted `sha256  name` lines, so that the same files have the
 * same sum wherever they lie.
 */
export function sumOfFiles(sha256ByName: Record<string, string>): string {
  const lines = Object.entries(sha256ByName)
    .map(([name, sha256]) => `${sha256}  ${name}\n`)
    .sort()
  return createHash('sha256').update(lines.join('')).digest('hex')
}

/**
 * Reads a whole version folder and compares it with its manifest.
 * @returns one sentence for each file that is missing, cut off, changed or not listed; empty where all is well
 * @throws ManifestError where the manifest itself can't be used
 */
export async function verifyVersion(
  folder: string,
  options: { signal?: AbortSignal; onBytes?: (bytes: number) => void } = {},
): Promise<string[]> {
  const { files } = await readManifest(folder)
  const present = await versionFiles(folder)
  const problems: string[] = []
  for (const [name, expected] of Object.entries(files)) {
    const path = join(folder, name)
    if (!present.includes(name)) {
      problems.push(`${path} is missing`)
      continue
    }
    const { size } = await stat(path)
    if (size !== expected.bytes) {
      problems.push(`${path} has ${size} bytes; the manifest says ${expected.bytes}`)
      continue
    }
    const sha256 = await sha256File(path, options)
    if (sha256 !== expected.sha256) {
      problems.push(`${path} has sha256 ${sha256}; the manifest says ${expected.sha256}`)
    }
  }
  for (const name of present) {
    if (!Object.hasOwn(files, name)) {
      problems.push(`${join(folder, name)} is not in the manifest`)
    }
  }
  return problems
}

async function versionFiles(folder: string): Promise<string[]> {
  const names = await readdir(folder)
  return names.filter((name) => name !== MANIFEST_FILE).sort()
}

/**
 * Looks at sizes alone, which is quick and finds what a copy that broke off, or somebody who tidied up, leaves behind.
 * @returns what is wrong, in one sentence; null where nothing is
 */
export async function glanceAtVersion(folder: string, manifest: Manifest): Promise<string | null> {
  for (const [name, { bytes }] of Object.entries(manifest.files)) {
    const path = join(folder, name)
    const found = await stat(path).catch((error: unknown) => {
      if (isMissing(error)) return null
      throw error
    })
    if (found === null) return `${path} is missing`
    if (found.size !== bytes) return `${path} has ${found.size} bytes instead of ${bytes}`
  }
  return null
}
