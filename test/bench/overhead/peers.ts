// The gateways of others, installed into the bench's cache: nobody who only serves models should download them.

import { existsSync } from 'node:fs'
import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'

import { canRun, runCommand } from '../command.ts'
import { cleanEnvironment } from '../environment.ts'
import { CACHE_DIR } from '../folders.ts'
import type { Progress } from '../progress.ts'

const PORTKEY_RELEASE = '@portkey-ai/gateway@1.15.2'
const PORTKEY_HOME = join(CACHE_DIR, 'portkey')
export const PORTKEY = join(PORTKEY_HOME, 'node_modules/@portkey-ai/gateway/build/start-server.js')

const LITELLM_RELEASE = 'litellm[proxy]'
const LITELLM_HOME = join(CACHE_DIR, 'litellm')
export const LITELLM = join(LITELLM_HOME, 'bin/litellm')

/** @returns why it can't be had, null where it is there */
export async function installPortkey(
  progress: Progress,
  signal: AbortSignal,
): Promise<string | null> {
  if (existsSync(PORTKEY)) return null
  progress(`installing ${PORTKEY_RELEASE}`)
  await mkdir(PORTKEY_HOME, { recursive: true })
  const flags = ['--prefix', PORTKEY_HOME, '--ignore-scripts', '--no-audit', '--no-fund']
  return attempt('npm', ['install', ...flags, PORTKEY_RELEASE], signal)
}

/** Hundreds of megabytes; only where it is asked for. */
export async function installLiteLLM(
  progress: Progress,
  signal: AbortSignal,
): Promise<string | null> {
  if (existsSync(LITELLM)) return null
  if (!(await canRun('python3', ['--version'], { env: cleanEnvironment(), signal }))) {
    return 'there is no python3'
  }
  progress(`installing ${LITELLM_RELEASE}`)
  const failed = await attempt('python3', ['-m', 'venv', LITELLM_HOME], signal)
  return (
    failed ?? attempt(join(LITELLM_HOME, 'bin/pip'), ['install', '-q', LITELLM_RELEASE], signal)
  )
}

async function attempt(
  command: string,
  args: string[],
  signal: AbortSignal,
): Promise<string | null> {
  try {
    await runCommand(command, args, { env: cleanEnvironment(), signal })
    return null
  } catch (error) {
    signal.throwIfAborted()
    return error instanceof Error ? error.message : String(error)
  }
}
