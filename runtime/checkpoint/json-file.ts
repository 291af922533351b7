// JSON files of a checkpoint's folder, read with errors that name the file.

import { readFile } from 'node:fs/promises'
import { join } from 'node:path'

import { CheckpointError } from './checkpoint.ts'

export type JsonRecord = Record<string, unknown>

export function isRecord(value: unknown): value is JsonRecord {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

/**
 * The object in `folder/name`; null where there is no such file.
 * @throws CheckpointError where the file can't be read or holds anything but a JSON object
 */
export async function readJsonIfThere(folder: string, name: string): Promise<JsonRecord | null> {
  const text = await readTextIfThere(folder, name)
  if (text === null) return null
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch (cause) {
    throw new CheckpointError(`${join(folder, name)} is not JSON: ${String(cause)}`, { cause })
  }
  if (isRecord(value)) return value
  throw new CheckpointError(`${join(folder, name)} does not hold a JSON object`)
}

/** @throws CheckpointError also where the file is missing, saying what it is needed for */
export async function readJson(folder: string, name: string, need: string): Promise<JsonRecord> {
  const value = await readJsonIfThere(folder, name)
  if (value !== null) return value
  throw new CheckpointError(`${join(folder, name)} is missing: ${need}`)
}

export async function readTextIfThere(folder: string, name: string): Promise<string | null> {
  try {
    return await readFile(join(folder, name), 'utf8')
  } catch (cause) {
    if (cause instanceof Error && 'code' in cause && cause.code === 'ENOENT') return null
    throw new CheckpointError(`${join(folder, name)} can't be read: ${String(cause)}`, { cause })
  }
}
