// llama.cpp as node-llama-cpp builds it, a package of its own: nobody who only serves models should download it.
//
// The package is this folder's; it is installed into the bench's cache, where no tool of the project looks. The prebuilt
// libraries of this platform are a dependency by name and optional ones are left out, or GPU builds of 600 MB would come
// along. `npm install` keeps to the lockfile; `npm ci` refuses one that was made where the registry has not every
// platform's package.

import { copyFile, mkdir, readdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'

import { runCommand } from '../command.ts'
import { cleanEnvironment } from '../environment.ts'
import { CACHE_DIR } from '../folders.ts'
import type { Progress } from '../progress.ts'
import packageJson from './package.json' with { type: 'json' }

export const LLAMA_CPP_RELEASE = `node-llama-cpp ${packageJson.dependencies['node-llama-cpp']}`

const HOME = join(CACHE_DIR, 'llama-cpp')
const MODULES = join(HOME, 'node_modules')
export const ENTRY = join(MODULES, 'node-llama-cpp/dist/index.js')
const LIBRARIES = join(MODULES, '@node-llama-cpp/linux-x64/bins/linux-x64')

const PACKAGE_FILES = ['package.json', 'package-lock.json']
/** the lockfile that was installed, written when that was done */
const INSTALLED_FILE = join(HOME, 'installed-lock.json')

/** @returns why there is no llama.cpp for this machine, null where there is */
export function whyNoLlamaCpp(): string | null {
  if (process.platform === 'linux' && process.arch === 'x64') return null
  return `prebuilt for linux-x64 only; this is ${process.platform}-${process.arch}`
}

export async function installLlamaCpp(progress: Progress, signal: AbortSignal): Promise<void> {
  const lock = await readFile(join(import.meta.dirname, 'package-lock.json'), 'utf8')
  const installed = await readFile(INSTALLED_FILE, 'utf8').catch(() => null)
  if (installed === lock) return
  progress(`llama.cpp: installing ${LLAMA_CPP_RELEASE}`)
  await mkdir(HOME, { recursive: true })
  for (const name of PACKAGE_FILES) {
    await copyFile(join(import.meta.dirname, name), join(HOME, name))
  }
  const flags = ['--no-save', '--omit=optional', '--ignore-scripts', '--no-audit', '--no-fund']
  await runCommand('npm', ['install', ...flags], { cwd: HOME, env: cleanEnvironment(), signal })
  await writeFile(INSTALLED_FILE, lock)
}

/** Paths of the shared libraries, in the order in which they need each other; their names carry a version. */
export async function libraryPaths(): Promise<string[]> {
  const names = await readdir(LIBRARIES)
  return [/^libggml-base\..*so/, /^libggml\..*so/, /^libllama\..*so/].map((pattern) => {
    const name = names.find((name) => pattern.test(name))
    if (name === undefined) throw new Error(`${LIBRARIES} holds no ${pattern}.`)
    return join(LIBRARIES, name)
  })
}
