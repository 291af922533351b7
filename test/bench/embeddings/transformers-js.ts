// transformers.js, a package of its own as llama.cpp is: installed into the bench's cache, by this folder's lockfile.
//
// Its ONNX Runtime is the one that Headrace runs on. No script is run at its installation: one would download a GPU build.

import { copyFile, mkdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'

import { runCommand } from '../command.ts'
import { cleanEnvironment } from '../environment.ts'
import { CACHE_DIR } from '../folders.ts'
import type { Progress } from '../progress.ts'
import packageJson from './package.json' with { type: 'json' }

const NAME = '@huggingface/transformers'
const HOME = join(CACHE_DIR, 'transformers-js')
export const ENTRY = join(HOME, 'node_modules', NAME, 'dist/transformers.node.mjs')
export const RELEASE = `transformers.js ${packageJson.dependencies[NAME]}`
const LOCK = 'package-lock.json'
/** the lockfile that was installed, written when that was done */
const INSTALLED_FILE = join(HOME, 'installed-lock.json')

export async function installTransformersJs(progress: Progress, signal: AbortSignal) {
  const lock = await readFile(join(import.meta.dirname, LOCK), 'utf8')
  if ((await readFile(INSTALLED_FILE, 'utf8').catch(() => null)) === lock) return
  progress(`installing ${RELEASE}`)
  await mkdir(HOME, { recursive: true })
  for (const name of ['package.json', LOCK]) {
    await copyFile(join(import.meta.dirname, name), join(HOME, name))
  }
  const flags = ['--no-save', '--ignore-scripts', '--no-audit', '--no-fund']
  await runCommand('npm', ['install', ...flags], { cwd: HOME, env: cleanEnvironment(), signal })
  await writeFile(INSTALLED_FILE, lock)
}
