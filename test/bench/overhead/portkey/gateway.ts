// Portkey's gateway, a package of its own as llama.cpp is: installed into the bench's cache, by this folder's lockfile.
//
// One of its dependencies is held back: from 1.14 on, @hono/node-server makes its streams fail (500, "immutable" headers).

import { copyFile, mkdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'

import { runCommand } from '../../command.ts'
import { cleanEnvironment } from '../../environment.ts'
import { CACHE_DIR } from '../../folders.ts'
import { CHAT_PATH } from '../contestant.ts'
import { freePort, Program } from '../program.ts'
import type { Progress } from '../../progress.ts'
import type { Contestant, StartOptions } from '../contestant.ts'

const HOME = join(CACHE_DIR, 'overhead/portkey')
const ENTRY = join(HOME, 'node_modules/@portkey-ai/gateway/build/start-server.js')
const LOCK = 'package-lock.json'
/** the lockfile that was installed, written when that was done */
const INSTALLED_FILE = join(HOME, 'installed-lock.json')

/** @returns the contestant, or why there is none */
export async function startPortkey(
  options: StartOptions & { progress: Progress },
): Promise<Contestant | string> {
  const { upstream, signal, progress } = options
  try {
    await install(progress, signal)
  } catch (error) {
    signal.throwIfAborted()
    return `its package can't be installed: ${error instanceof Error ? error.message : String(error)}`
  }
  const port = await freePort()
  const program = await Program.serving(
    `http://127.0.0.1:${port}/`,
    process.execPath,
    [ENTRY, `--port=${port}`, '--headless'],
    {
      cwd: HOME,
      env: { NODE_ENV: 'production', TRUSTED_CUSTOM_HOSTS: '127.0.0.1,localhost' },
      signal,
    },
  )
  return {
    name: 'Portkey',
    url: `http://127.0.0.1:${port}${CHAT_PATH}`,
    headers: {
      authorization: 'Bearer sk-bench',
      'x-portkey-provider': 'openai',
      'x-portkey-custom-host': `${upstream}/v1`,
    },
    pid: program.pid,
    [Symbol.asyncDispose]: () => program[Symbol.asyncDispose](),
  }
}

async function install(progress: Progress, signal: AbortSignal): Promise<void> {
  const lock = await readFile(join(import.meta.dirname, LOCK), 'utf8')
  const installed = await readFile(INSTALLED_FILE, 'utf8').catch(() => null)
  if (installed === lock) return
  progress('Portkey: installing')
  await mkdir(HOME, { recursive: true })
  for (const name of ['package.json', LOCK]) {
    await copyFile(join(import.meta.dirname, name), join(HOME, name))
  }
  const flags = ['--ignore-scripts', '--no-audit', '--no-fund', '--loglevel=error']
  await runCommand('npm', ['ci', ...flags], { cwd: HOME, env: cleanEnvironment(), signal })
  await writeFile(INSTALLED_FILE, lock)
}
