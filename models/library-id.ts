// The name of a data folder's library, made once: gateways that share the folder read the same one.

import { randomUUID } from 'node:crypto'
import { link, mkdir, readFile, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'

import { isMissing } from './work-folders.ts'

const FILE = '.library'
const UUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/

/** @throws Error where the file holds something else */
export async function keepLibraryId(dataDir: string): Promise<string> {
  const folder = join(dataDir, 'models')
  const file = join(folder, FILE)
  const known = await read(file)
  if (known !== null) return known
  await mkdir(folder, { recursive: true })
  const draft = `${file}.${randomUUID()}`
  await writeFile(draft, `${randomUUID()}\n`)
  try {
    // Whole, or not at all; and whoever comes second takes the first one's.
    await link(draft, file)
  } catch (error) {
    if (!(error instanceof Error && 'code' in error && error.code === 'EEXIST')) throw error
  } finally {
    await rm(draft, { force: true })
  }
  return (await read(file)) ?? keepLibraryId(dataDir)
}

async function read(file: string): Promise<string | null> {
  try {
    const id = (await readFile(file, 'utf8')).trim()
    if (UUID.test(id)) return id
    throw new Error(`${file} has to hold a UUID; it holds '${id.slice(0, 60)}'`)
  } catch (error) {
    if (isMissing(error)) return null
    throw error
  }
}
