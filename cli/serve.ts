// `headrace serve` and `headrace gateway`: everything on this host, or the gateway alone in front of other runtimes.

import { once } from 'node:events'
import { rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import type { Runtime } from '../runtime/client.ts'
import type { Logger } from 'pino'

import { awaitDefaultModel, bringDefaultModel, DefaultModel } from './default-model.ts'
import { RuntimeProcess } from './runtime-process.ts'
import { URL_FILE } from './server-api.ts'
import { welcome } from './welcome.ts'
import { lockDataFolder } from '../gateway/process/data-folder.ts'
import { checkPortIsFree } from '../gateway/process/listening.ts'
import { startGateway } from '../gateway/main.ts'
import { SECRET_NAMES, secretFileName } from '../gateway/settings/secret-files.ts'
import { createSocketFolder } from '../gateway/process/socket-folder.ts'
import type { Answering } from './default-model.ts'
import type { Lifetime } from './lifetime.ts'
import type { Gateway } from '../gateway/main.ts'
import type { RuntimeAddresses } from '../gateway/residency/open.ts'
import type { Output } from './progress.ts'
import type { Settings } from '../gateway/settings/settings.ts'

export interface ServeOptions {
  settings: Settings
  /** where RUNTIME_URLS names none, one is started here */
  hasOwnRuntime: boolean
  release: string
  env: NodeJS.ProcessEnv
  logger: Logger
  stdout: Output
  stderr: Output
}

const ENTRY = fileURLToPath(new URL('./main.ts', import.meta.url))

/** of a data folder that somebody else may fill */
const POLL_MS = 2_000

/** what the runtime has no use for, and what it is told otherwise */
const KEPT_FROM_RUNTIME = [...SECRET_NAMES, ...SECRET_NAMES.map(secretFileName), 'RUNTIME_URLS']

/** Serves until it is told to end, and returns when nothing is left of it. @throws Error that says what is in the way */
export async function serve(options: ServeOptions, life: Lifetime): Promise<void> {
  const { settings, env, logger, stdout, stderr } = options
  await using parts = new AsyncDisposableStack()
  const lock = await lockDataFolder(settings.dataDir, 'server')
  parts.defer(() => lock.release())
  await checkPortIsFree(settings.host, settings.port)

  let model: DefaultModel | null = null
  const runtimes =
    settings.runtimeUrls === null && options.hasOwnRuntime
      ? await startOwnRuntime(options, parts, () => model?.reload())
      : { addresses: settings.runtimeUrls ?? [], token: settings.runtimeToken, isOwn: false }
  const gateway = await startGateway({ ...options, runtimes, signal: life.ending })
  parts.defer(() => gateway.close(life.hurry))
  const urlFile = join(settings.dataDir, URL_FILE)
  await writeFile(urlFile, `${gateway.url}\n`)
  parts.defer(() => rm(urlFile, { force: true }))
  life.ending.throwIfAborted()

  const { runtime, readiness } = gateway
  const { defaultModel } = settings
  const signal = life.ending
  if (defaultModel === null || !runtime) {
    readiness.withoutLocal()
    stdout.write(welcome({ ...gateway, model: null }))
    if (runtime) await followLibrary(gateway, runtime, logger, signal)
    else await once(signal, 'abort')
    return
  }
  const bringing = { entry: ENTRY, env, settings, defaultModel, logger, stderr, gateway, signal }
  // What an upstream answers for has no folder to be brought.
  const isElsewhere = async () => {
    const live = await liveOf(gateway, defaultModel)
    return live !== null && live.upstream !== null
  }
  const bring = async () => ((await isElsewhere()) ? null : bringDefaultModel(bringing))
  const version = settings.runtimeUrls
    ? await awaitDefaultModel(bringing, isElsewhere)
    : await bring()
  const name = version?.manifest.model ?? defaultModel
  if (version) await gateway.deployments.adoption.adopt(name)
  const own = { version: version?.id ?? name, upstream: null }
  const answering = async () => (await liveOf(gateway, name)) ?? own
  const followed = new DefaultModel(answering, { runtime, readiness, logger, signal })
  model = followed
  gateway.residency?.follow('default model', () => followed.wanted)
  await followed.begin()
  signal.throwIfAborted()

  stdout.write(welcome({ ...gateway, model: await welcomed(gateway, await answering()) }))
  await followed.follow()
}

/** @returns what answers for a model by its deployment; null: it has none */
async function liveOf(
  { deployments, versions }: Pick<Gateway, 'deployments' | 'versions'>,
  model: string,
): Promise<Answering | null> {
  const version = deployments.live.find(model)?.state.targets[0]?.version
  if (version === undefined) return null
  // What can't be looked up now is looked for in the library.
  const found = await versions.find(version).catch(() => null)
  return { version, upstream: found?.kind === 'upstream' ? found.upstream : null }
}

async function welcomed({ models }: Pick<Gateway, 'models'>, { version, upstream }: Answering) {
  const manifest = upstream === null ? (await models.resolve(version))?.manifest : undefined
  const precision = manifest?.precision ?? `over the upstream ${upstream ?? 'local'}`
  return { version, precision, isBundled: manifest?.source.kind === 'bundled' }
}

/** What others bring into the data folder can be served too, once the runtime is there. */
async function followLibrary(
  { readiness, models }: Gateway,
  runtime: Pick<Runtime, 'stats'>,
  logger: Logger,
  signal: AbortSignal,
): Promise<void> {
  while (!signal.aborted) {
    try {
      const isRuntimeThere = await runtime.stats().then(
        () => true,
        () => false,
      )
      readiness.withoutLocal(isRuntimeThere ? (await models.listModels()).length : 0)
    } catch (error) {
      logger.warn({ err: error }, "the library can't be read at the moment")
    }
    await sleep(POLL_MS, undefined, { signal }).catch(() => {})
  }
}

async function startOwnRuntime(
  { env, settings, logger }: ServeOptions,
  parts: AsyncDisposableStack,
  onDeath: () => void,
): Promise<RuntimeAddresses> {
  const sockets = await createSocketFolder('headrace-runtime')
  parts.defer(() => sockets.remove())
  const address = `unix:${join(sockets.path, 'runtime.sock')}`
  const shared = Object.entries(env).filter(([name]) => !KEPT_FROM_RUNTIME.includes(name))
  const runtimeEnv = {
    ...Object.fromEntries(shared),
    HEADRACE_DATA_DIR: settings.dataDir,
    HEADRACE_RUNTIME_LISTEN: address,
  }
  parts.use(new RuntimeProcess({ entry: ENTRY, env: runtimeEnv, logger, onDeath }))
  return { addresses: [address], token: null, isOwn: true }
}
