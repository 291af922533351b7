// Makes the default model answer: brought to the data folder by a process of its own, then loaded by the runtime.
//
// What is going on is told to whoever asks /readyz, and to the log. Importing computes for minutes, so that it must not
// happen in the gateway's process.
//
// Knows: what comes after what. Does not know: sources, formats, engines.

import { spawn } from 'node:child_process'
import { createInterface } from 'node:readline'
import { setTimeout as sleep } from 'node:timers/promises'
import type { ChildProcess } from 'node:child_process'

import { createReporter } from './progress.ts'
import { RuntimeError } from '../runtime/client.ts'
import type { Logger } from '../gateway/logger.ts'
import type { Gateway } from '../gateway/main.ts'
import type { Settings } from '../gateway/settings/settings.ts'
import type { StoredVersion } from '../models/store.ts'
import type { Runtime } from '../runtime/client.ts'
import type { LoadEvent, RuntimeErrorCode } from '../runtime/protocol.ts'
import type { Output, Progress, ProgressLine } from './progress.ts'

export interface BringOptions {
  /** path of the command line's entry */
  entry: string
  env: NodeJS.ProcessEnv
  settings: Pick<Settings, 'dataDir' | 'precision'>
  defaultModel: string
  logger: Logger
  /** progress is shown here, as a bar, if it is a terminal; else it is logged */
  stderr: Output
  gateway: Pick<Gateway, 'readiness' | 'models'>
  signal: AbortSignal
}

const DOING: Record<Progress['phase'], string> = {
  resolve: 'is being looked for',
  download: 'is being downloaded',
  unpack: 'is being unpacked',
  verify: 'is being checked',
  convert: 'is being converted',
}

interface DefaultModelDeps {
  runtime: Pick<Runtime, 'load' | 'stats'>
  readiness: Gateway['readiness']
  logger: Logger
  signal: AbortSignal
  /** milliseconds, monotonic */
  now?: () => number
}

/** what is over by then, as at every start but the first, need not be told */
const NO_NEWS_MS = 1_500
/** of a load that failed because the runtime is not up yet, or is about to be started again */
const RETRY_MS = 100
/** an engine that ends is out of /readyz within about this time; a look costs the runtime next to nothing */
const LOOK_MS = 1_000
/** what can't be loaded is tried again, as a disk or a driver may be repaired, and not so often that it fills the log */
const RETRY_FAILED_MS = 30_000
const PASSING: RuntimeErrorCode[] = ['runtime_unreachable', 'engine_lost', 'draining']
/** of a data folder that somebody else fills */
const POLL_MS = 2_000

/** Through `headrace models ensure`. @throws Error in the words of that command */
export async function bringDefaultModel(options: BringOptions): Promise<StoredVersion> {
  const { entry, env, settings, defaultModel, logger, stderr, gateway, signal } = options
  const { precision } = settings
  const begunMs = performance.now()
  const logged: Output = { write: (text) => logger.info({ model: defaultModel }, text.trim()) }
  const reporter = createReporter(null, { stdout: logged, stderr: stderr.isTTY ? stderr : logged })
  const flags = ['--or-bundled', '--progress', 'json', '--precision', precision]
  const child = spawn(process.execPath, [entry, 'models', 'ensure', defaultModel, ...flags], {
    env,
    detached: true,
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  const stop = () => child.kill('SIGTERM')
  signal.addEventListener('abort', stop)
  try {
    const last = await readProgress(child, (line) => {
      if (line.type === 'note') reporter.note(line.text)
      if (line.type !== 'progress') return
      tellProgress(line, options)
      if (performance.now() - begunMs > NO_NEWS_MS) reporter.progress(line)
    })
    signal.throwIfAborted()
    if (last?.type === 'done') {
      if (last.how !== 'present') reporter.done(last, `${last.version} is imported`)
      return await gateway.models.get(last.version)
    }
    const reason = last?.type === 'error' ? last.message : 'the import ended without a word'
    throw new Error(`The default model ${defaultModel} can't be had: ${reason}`)
  } finally {
    signal.removeEventListener('abort', stop)
  }
}

/**
 * For a gateway whose data folder is filled by somebody else.
 * @returns null: an upstream answers for it by now, and there is nothing to wait for
 */
export async function awaitDefaultModel(
  options: BringOptions,
  isElsewhere: () => Promise<boolean>,
): Promise<StoredVersion | null> {
  const { settings, defaultModel, logger, gateway, signal } = options
  for (let isFirst = true; ; isFirst = false) {
    if (await isElsewhere()) return null
    const version = await gateway.models.resolve(defaultModel)
    if (version) return version
    const detail = `There is no version of ${defaultModel} in ${settings.dataDir}/models yet.`
    gateway.readiness.wait('preparing', detail)
    if (isFirst) logger.warn({ model: defaultModel }, detail)
    await sleep(POLL_MS, undefined, { signal })
  }
}

/** What answers for the default model now: deployments change that. */
export interface Answering {
  /** full id */
  version: string
  /** null: it is the library's, and an engine has to hold it */
  upstream: string | null
}

/**
 * The version that answers for the default model: loaded at the start, and again whenever the runtime has lost it. What
 * its engine does meanwhile is looked up, as nobody tells: runtimes of other machines come and go by themselves.
 */
export class DefaultModel {
  readonly #answering: () => Promise<Answering>
  readonly #deps: DefaultModelDeps
  #loading: Promise<void> | null = null
  #failedMs = -Infinity
  #last: Answering | null = null

  constructor(answering: () => Promise<Answering>, deps: DefaultModelDeps) {
    this.#answering = answering
    this.#deps = deps
  }

  /** What is to stay loaded: nothing where an upstream answers. */
  get wanted(): string[] {
    return this.#last?.upstream === null ? [this.#last.version] : []
  }

  /**
   * Resolves when it answers for the first time. A version that can't be loaded ends no server: other models answer
   * meanwhile, and only a server that runs can be told to deploy another version.
   */
  async begin(): Promise<void> {
    const { readiness, logger, signal } = this.#deps
    try {
      return await this.load()
    } catch (error) {
      signal.throwIfAborted()
      const next = 'it is tried again, and another version may be deployed in its place'
      logger.error({ err: error }, `${this.#last?.version} can't be loaded; ${next}`)
    }
    while (readiness.report.phase !== 'ready') {
      await sleep(LOOK_MS, undefined, { signal })
      await this.look()
    }
  }

  /** Waits for as long as the runtime can't be reached. @throws RuntimeError where it can't serve the version */
  load(): Promise<void> {
    return (this.#loading ??= this.#load().finally(() => (this.#loading = null)))
  }

  /** In the background; what goes wrong is in the log and in /readyz. */
  reload(): void {
    const { readiness, logger, signal } = this.#deps
    const last = this.#last
    // Whoever asks before it is known what is to answer now.
    if (last && last.upstream === null) {
      readiness.wait('loading', `${last.version} is being loaded.`)
    }
    this.load().catch((error: unknown) => {
      if (!signal.aborted) logger.error({ err: error }, `${this.#last?.version} can't be loaded`)
    })
  }

  /** Looks at the engine until the server ends. */
  async follow(): Promise<void> {
    const { signal } = this.#deps
    while (!signal.aborted) {
      await this.look()
      await sleep(LOOK_MS, undefined, { signal }).catch(() => {})
    }
  }

  /** Tells /readyz what the engine does now, and loads the version where no runtime has it any more. */
  async look(): Promise<void> {
    const { runtime, readiness, now = () => performance.now() } = this.#deps
    const { version: id, upstream } = await this.#ask()
    // A load says itself how far it is.
    if (this.#loading) return
    if (upstream !== null) return readiness.ready(id, upstream)
    const engines = await runtime.stats().then(
      (stats) => stats.engines.filter(({ version }) => version === id),
      () => [],
    )
    if (this.#loading) return
    if (engines.some(({ state }) => state === 'ready')) return readiness.ready(id)
    const starting = engines.find(({ state }) => state === 'restarting' || state === 'loading')
    if (starting) return readiness.wait('loading', `The engine of ${id} is being started again.`)
    if (now() - this.#failedMs <= RETRY_FAILED_MS) return
    readiness.wait('loading', `${id} is being loaded.`)
    this.reload()
  }

  async #ask(): Promise<Answering> {
    return (this.#last = await this.#answering())
  }

  async #load(): Promise<void> {
    const { runtime, readiness, signal, now = () => performance.now() } = this.#deps
    for (;;) {
      const { version: id, upstream } = await this.#ask()
      if (upstream !== null) return readiness.ready(id, upstream)
      const tell = (event: LoadEvent) => {
        if (event.type !== 'progress') return
        readiness.wait('loading', `${id} is being loaded.`, event.fraction)
      }
      readiness.wait('loading', `${id} is being loaded.`)
      try {
        await runtime.load(id, tell)
        readiness.ready(id)
        return
      } catch (error) {
        const isPassing =
          error instanceof RuntimeError &&
          (PASSING.includes(error.code) || error.failure.isPassing === true)
        if (!isPassing) {
          const reason = error instanceof Error ? error.message : String(error)
          readiness.wait('failed', `${id} can't be loaded: ${reason}`)
          this.#failedMs = now()
          throw error
        }
      }
      await sleep(RETRY_MS, undefined, { signal })
    }
  }
}

function tellProgress({ phase, item, fraction, bytes }: Progress, options: BringOptions): void {
  const { defaultModel, gateway } = options
  const size = bytes ? ` (${Math.round(bytes / 1e6)} MB)` : ''
  const detail = `${defaultModel} ${DOING[phase]}: ${item}${size}.`
  gateway.readiness.wait('preparing', detail, fraction ?? undefined)
}

/** @returns the last line */
async function readProgress(
  child: ChildProcess,
  onLine: (line: ProgressLine) => void,
): Promise<ProgressLine | null> {
  let last: ProgressLine | null = null
  const ended = new Promise<void>((resolve, reject) => {
    child.once('error', reject)
    child.once('close', () => resolve())
  })
  if (child.stdout) {
    createInterface({ input: child.stdout }).on('line', (text) => {
      last = JSON.parse(text) as ProgressLine
      onLine(last)
    })
  }
  await ended
  return last
}
