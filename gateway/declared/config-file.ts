// headrace.yaml, read at the start and again whenever it changes.
//
// At the start a file that can't be used is an error. Later it is a line in the log and a metric, and what was declared
// before stays: whoever saves a half-written file must not take a service down.
//
// Knows: the file, its environment. Does not know: what is done with a declaration.

import { existsSync, watch } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'

import { readDeclaration } from './read.ts'
import type { FSWatcher } from 'node:fs'
import type { Logger } from '../logger.ts'
import type { Declaration } from './schema.ts'

/**
 * Where Kubernetes mounts a ConfigMap, the file is a link through this one, and this one is all that is ever replaced: the
 * file's own name is in no event.
 */
const MOUNTED = '..data'
/** Editors write a file in several steps. */
const SETTLE_MS = 100

const STANDARD_FILE = 'headrace.yaml'

/** @param given where it is, if that was said @param folders where it is looked for: the first that is there counts */
export function findConfigFile(given: string | null, folders: readonly string[]): string | null {
  const standard = folders.map((folder) => join(folder, STANDARD_FILE))
  return given ?? standard.find((path) => existsSync(path)) ?? null
}

export interface ConfigFileOptions {
  file: string
  env: Record<string, string | undefined>
  logger: Logger
  /** @throws where the declaration can't be put to work; it is then as if the file were broken */
  onDeclaration: (declaration: Declaration) => void
}

export interface ConfigFileState {
  file: string
  /** why what the file says now is not in force; null where it is */
  problem: string | null
  /** times that the file was read */
  reloads: number
  /** ISO 8601, of what is in force */
  since: string
}

export class ConfigFile {
  readonly #options: ConfigFileOptions
  readonly #watcher: FSWatcher
  readonly #onSignal = () => this.#soon()
  #text: string
  #timer: NodeJS.Timeout | null = null
  #state: ConfigFileState

  private constructor(options: ConfigFileOptions, text: string) {
    this.#options = options
    this.#text = text
    this.#state = {
      file: options.file,
      problem: null,
      reloads: 0,
      since: new Date().toISOString(),
    }
    // The folder, not the file: an editor that saves by renaming puts another file in its place.
    this.#watcher = watch(dirname(options.file), (_event, name) => {
      if (name === null || name === MOUNTED || name === basename(options.file)) this.#soon()
    })
    this.#watcher.on('error', (error) => {
      options.logger.warn({ err: error }, `${options.file} is not watched any more`)
    })
    this.#watcher.unref()
    process.on('SIGHUP', this.#onSignal)
  }

  /** @throws DeclarationError, or the file system's error */
  static async open(options: ConfigFileOptions): Promise<ConfigFile> {
    const text = await readFile(options.file, 'utf8')
    options.onDeclaration(readDeclaration(text, options.file, options.env))
    return new ConfigFile(options, text)
  }

  get state(): ConfigFileState {
    return this.#state
  }

  close(): void {
    this.#watcher.close()
    process.off('SIGHUP', this.#onSignal)
    if (this.#timer) clearTimeout(this.#timer)
  }

  #soon() {
    if (this.#timer) clearTimeout(this.#timer)
    this.#timer = setTimeout(() => void this.#reload(), SETTLE_MS).unref()
  }

  async #reload(): Promise<void> {
    const { file, env, logger, onDeclaration } = this.#options
    const reloads = this.#state.reloads + 1
    try {
      const text = await readFile(file, 'utf8')
      if (text === this.#text && this.#state.problem === null) return
      this.#text = text
      onDeclaration(readDeclaration(text, file, env))
      this.#state = { file, problem: null, reloads, since: new Date().toISOString() }
      logger.info({ file }, 'what is declared has changed')
    } catch (error) {
      const problem = error instanceof Error ? error.message : String(error)
      this.#state = { ...this.#state, problem, reloads }
      logger.error({ file }, `${problem}\nWhat was declared before stays in force.`)
    }
  }
}
