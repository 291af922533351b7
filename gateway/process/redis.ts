// Connections to Redis that never make a request wait for long.
//
// What can't be sent at once fails at once, what isn't answered soon fails then, and the connection comes back by
// itself: whoever uses it has to have another way for as long as that takes.

import { Redis } from 'ioredis'

import type { Logger } from '../logger.ts'

export type { Redis } from 'ioredis'

/** A server that died is known by its connection; this is for one that hangs. A busy event loop must not look like it. */
const COMMAND_TIMEOUT_MS = 1_000
const CONNECT_TIMEOUT_MS = 2_000
const MAX_RECONNECT_MS = 1_000

/** @param purpose for the log: "limits" */
export function connectRedis(url: string, purpose: string, logger: Logger): Redis {
  const redis = new Redis(url, {
    enableOfflineQueue: false,
    maxRetriesPerRequest: 0,
    autoResendUnfulfilledCommands: false,
    commandTimeout: COMMAND_TIMEOUT_MS,
    connectTimeout: CONNECT_TIMEOUT_MS,
    retryStrategy: (attempt) => Math.min(50 * attempt, MAX_RECONNECT_MS),
    connectionName: `headrace-${purpose}`,
  })
  // Without a listener an error would end the process; who uses the connection says what it means.
  redis.on('error', (error: Error) =>
    logger.debug({ reason: error.message, purpose }, 'the connection to Redis has an error'),
  )
  return redis
}
