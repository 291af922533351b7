// Secrets that are in files: `NAME_FILE` says where the text of the secret setting `NAME` is, as container engines mount it.
//
// They stay out of the environment, which child processes inherit and `docker inspect` shows.
//
// Knows: which settings are secrets, files. Does not know: what is allowed for each.

import { readFileSync, statSync } from 'node:fs'

import { SETTINGS } from './settings.ts'
import type { Setting } from './setting-kinds.ts'

const SUFFIX = '_FILE'
/** Far more than any secret; a log or a device that was named by mistake is not read. */
const MAX_BYTES = 64 * 1024

/** Names of the settings that may come from files. */
export const SECRET_NAMES: readonly string[] = Object.values<Setting<unknown>>(SETTINGS)
  .filter(({ isSecret }) => isSecret)
  .map(({ name }) => name)

export const secretFileName = (name: string): string => name + SUFFIX

/** @returns the environment with the secrets' texts in it, and a sentence for each file that can't be used */
export function readSecretFiles(env: NodeJS.ProcessEnv): {
  env: NodeJS.ProcessEnv
  problems: string[]
} {
  const read = { ...env }
  const problems: string[] = []
  for (const name of SECRET_NAMES) {
    const variable = secretFileName(name)
    const path = env[variable]?.trim()
    if (!path) continue
    if (env[name]?.trim()) problems.push(`${name} and ${variable} are both set; allowed is one.`)
    else {
      try {
        read[name] = readSecret(path)
      } catch (error) {
        const reason = error instanceof Error ? error.message : String(error)
        problems.push(
          `${variable} is '${path}': ${reason}; allowed is the path of a file with the text that ${name} is to have.`,
        )
      }
    }
  }
  return { env: read, problems }
}

/** @throws Error in a few words */
function readSecret(path: string): string {
  const found = statSync(path, { throwIfNoEntry: false })
  if (!found) throw new Error('there is no such file')
  if (!found.isFile()) throw new Error('it is no file')
  if (found.size > MAX_BYTES) throw new Error(`it is larger than ${MAX_BYTES} bytes`)
  // An editor's newline at its end is no part of a secret.
  const text = readFileSync(path, 'utf8').trim()
  if (text === '') throw new Error('it is empty')
  return text
}
