// `headrace log-writer`: writes to PostgreSQL what gateways publish to a broker; any number of them at once.

import { once } from 'node:events'
import type { Logger } from 'pino'

import { startLogWriter } from '../gateway/broker/main.ts'
import { ConfigError } from '../gateway/settings/config.ts'
import type { Lifetime } from './lifetime.ts'
import type { Settings } from '../gateway/settings/settings.ts'

/** Writes until it is told to end. @throws Error that says what is in the way */
export async function runLogWriter(
  settings: Settings,
  logger: Logger,
  life: Lifetime,
): Promise<void> {
  const { brokerUrl, databaseUrl } = settings
  if (brokerUrl === null || databaseUrl === null) {
    throw new ConfigError(['headrace log-writer needs LOG_BROKER_URL and DATABASE_URL.'])
  }
  const signal = life.ending
  const process = await startLogWriter({ brokerUrl, databaseUrl, settings, logger, signal })
  if (!signal.aborted) await once(signal, 'abort')
  await process.close()
}
