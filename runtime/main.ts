// The runtime host put together: from settings to a listening server with engines behind it.
//
// `startRuntime` is for whoever has a process already; `runRuntime` is the whole life of one, from its start to its exit.

import { fileURLToPath } from 'node:url'

import closeWithGrace from 'close-with-grace'

import { formatAddress } from './address.ts'
import { deviceMemory } from './host/device-memory.ts'
import { Host } from './host/host.ts'
import { listen } from './host/listen.ts'
import { createRuntimeServer } from './host/server.ts'
import { parseDevice, PROCESSOR } from './ort/device-choice.ts'
import { resolveSettings } from './settings.ts'
import type { Logger } from './logger.ts'
import type { RuntimeSettings } from './settings.ts'

export interface RunningRuntime {
  /** where it listens, as `createRuntimeClient` takes it */
  address: string
  /** Lets running requests finish, refuses new ones as `draining`, ends every engine, then stops listening. */
  close(): Promise<void>
}

export interface StartOptions {
  /** the module that engine processes run */
  engineEntry?: string
}

/** what the last lines of answers may take to be read before their connections are cut */
const LAST_ANSWERS_MS = 2_000

/** @throws Error with every problem of the settings, or saying why the address can't be listened at */
export async function startRuntime(
  settings: RuntimeSettings,
  logger: Logger,
  { engineEntry = fileURLToPath(new URL('./engine/main.ts', import.meta.url)) }: StartOptions = {},
): Promise<RunningRuntime> {
  const device = parseDevice(settings.device ?? 'cpu')
  const readMemory = deviceMemory(device ?? PROCESSOR)
  // Budgets that are not set are shares of the memory of what is computed on.
  const resolved = resolveSettings(settings, (await readMemory()).totalBytes)
  const {
    dataDir,
    address: wanted,
    token,
    drainMs,
    hangMs,
    memoryBytes,
    idleUnloadMs,
    ...engine
  } = resolved
  const program = { entry: engineEntry, env: process.env, hangMs }
  const host = new Host({
    dataDir,
    engine,
    program,
    memoryBytes,
    readMemory,
    idleUnloadMs,
    drainMs,
    logger,
  })
  const server = createRuntimeServer({ host, token, logger })
  const address = formatAddress(await listen(server, wanted))
  // Whatever ends this process, its engines must not outlive it.
  const killEngines = () => host.kill()
  process.on('exit', killEngines)
  logger.info({ address, dataDir, memoryBytes, ...engine }, 'the runtime listens')

  const stop = async () => {
    logger.info({ drainMs }, 'the runtime drains')
    await host.drain()
    const closed = new Promise((resolve) => server.close(resolve))
    const cut = setTimeout(() => server.closeAllConnections(), LAST_ANSWERS_MS)
    await closed
    clearTimeout(cut)
    process.off('exit', killEngines)
    logger.info({}, 'the runtime has stopped')
  }
  let stopping: Promise<void> | null = null
  return { address, close: () => (stopping ??= stop()) }
}

/** Starts a runtime and exits with 0 once a SIGTERM or SIGINT has been honoured, with 1 after a second one. */
export async function runRuntime(
  settings: RuntimeSettings,
  logger: Logger,
  options?: StartOptions,
): Promise<RunningRuntime> {
  const runtime = await startRuntime(settings, logger, options)
  // Every wait of close() has its own limit, so there is none here.
  closeWithGrace({ delay: false, logger: false }, async ({ err, signal }) => {
    if (err) logger.error({ err }, 'the runtime ends because of an error that nobody handled')
    else logger.info({ signal }, 'the runtime was told to end')
    await runtime.close()
  })
  return runtime
}
