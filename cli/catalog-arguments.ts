// What commands of the catalog are given, read: models and versions by name, texts, files, drafts.

import { readFileSync } from 'node:fs'

import { InvalidArgumentError, Option } from 'commander'
import { Check } from 'typebox/value'
import type { Static, TSchema } from 'typebox'

import { MODEL_NAME, VERSION_NUMBER } from '../models/manifest.ts'
import { schemaProblems } from '../models/schema-problems.ts'
import { splitReference } from '../models/store.ts'
import { NOTHING } from './arguments.ts'
import type { OrNothing } from './arguments.ts'

export interface Reference {
  model: string
  /** null: the model was named alone */
  number: number | null
}

/** `guide`, `guide@3` */
export function readReference(text: string): Reference {
  const { model, version } = splitReference(text)
  if (MODEL_NAME.test(model) && (version === null || VERSION_NUMBER.test(version))) {
    return { model, number: version === null ? null : Number(version) }
  }
  throw new InvalidArgumentError('Allowed is the name of a model, or model@number.')
}

/** `guide@3` */
export function readVersionId(text: string): string {
  const { model, number } = readReference(text)
  if (number !== null) return `${model}@${number}`
  throw new InvalidArgumentError('Allowed is model@number.')
}

/** As it is; `@file` is what the file holds. */
export function readText(text: string): string {
  return text.startsWith('@') ? readFile(text.slice(1)).toString('utf8') : text
}

/** A file of JSON. */
export function readJsonFile(path: string): unknown {
  const text = readFile(path.replace(/^@/, '')).toString('utf8')
  try {
    return JSON.parse(text)
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error)
    throw new InvalidArgumentError(`${path} is not JSON: ${why}`)
  }
}

export function readFile(path: string): Buffer {
  try {
    return readFileSync(path)
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error)
    throw new InvalidArgumentError(`It can't be read: ${why}`)
  }
}

const orNone =
  <T>(read: (text: string) => T) =>
  (text: string): OrNothing<T> =>
    text === 'none' ? NOTHING : read(text)

/** As it is, or `@file`; `none` takes away. */
export const textOption = (flags: string, about: string) =>
  new Option(flags, about).argParser(orNone(readText))

/** A file of JSON; `none` takes away. */
export const fileOption = (flags: string, about: string) =>
  new Option(flags, about).argParser(orNone(readJsonFile))

/** Of a model, and of a version that costs something else. */
export const priceOption = () =>
  fileOption('--price <file>', 'a JSON object: input, cached_input, output, second; none')

export function readNumber(text: string): number {
  const value = text.trim() === '' ? Number.NaN : Number(text)
  if (Number.isFinite(value)) return value
  throw new InvalidArgumentError('Allowed is a number.')
}

/**
 * The same as the admin API takes, and no more.
 * @throws InvalidArgumentError with everything that is wrong
 */
export function checked<T extends TSchema>(schema: T, draft: object): Static<T> {
  const said: unknown = JSON.parse(JSON.stringify(draft))
  if (Check(schema, said)) return said
  throw new InvalidArgumentError(`${schemaProblems(schema, said).join('; ')}.`)
}
