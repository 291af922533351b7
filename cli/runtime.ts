// `headrace runtime`: a runtime for this host, as a process of its own or as a child of `headrace serve`.

import type { Logger } from 'pino'

import { runRuntime } from '../runtime/main.ts'
import type { Settings } from '../gateway/settings/settings.ts'

/** @throws Error that says what is in the way */
export async function runRuntimeCommand(settings: Settings, logger: Logger): Promise<void> {
  const { dataDir, contextTokens, slots, maxWaiting, drainMs } = settings
  await runRuntime(
    {
      dataDir,
      address: settings.runtimeListen,
      token: settings.runtimeToken ?? undefined,
      device: settings.device,
      library: settings.runtimeLibrary,
      threads: settings.threads ?? undefined,
      memoryBytes: settings.memoryBytes ?? undefined,
      idleUnloadMs: settings.idleUnloadS * 1000,
      kvBudgetBytes: settings.kvBytes ?? undefined,
      contextTokens,
      slots,
      maxWaiting,
      drainMs,
    },
    logger,
  )
  // A parent that is gone, however it went, can't stop its runtime any more; the channel to it says so.
  process.once('disconnect', () => process.kill(process.pid, 'SIGTERM'))
}
