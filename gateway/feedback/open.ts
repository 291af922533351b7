// What feedback needs beside the tables: keys that sign tokens, a place to wait for PostgreSQL, somebody who tidies up.

import { randomBytes } from 'node:crypto'
import { join } from 'node:path'

import { keepSigningKey } from '../db/signing-keys.ts'
import { settleFeedback } from './settle.ts'
import { FeedbackSpool } from './spool.ts'
import { FeedbackTokens } from './tokens.ts'
import type { Pool } from '../db/pool.ts'
import type { Logger } from '../logger.ts'
import type { Keyring } from '../secrets.ts'

export interface OpenFeedbackOptions {
  pool: Pool
  dataDir: string
  keyring: Keyring
  logger: Logger
}

export interface OpenedFeedback {
  tokens: FeedbackTokens
  spool: FeedbackSpool
  close(): Promise<void>
}

/** What keys are derived for, and the row of the one that is made. */
const PURPOSE = 'headrace feedback tokens'
const KEY_BYTES = 32
/** What is left then waits for the next start. */
const DEADLINE_MS = 2_000

/** Under keys that follow from the operator's where there are any, else under one that all replicas share by the table. */
export async function openFeedback(options: OpenFeedbackOptions): Promise<OpenedFeedback> {
  const { pool, dataDir, keyring, logger } = options
  const derived = keyring.derive(PURPOSE)
  const keys =
    derived.length > 0 ? derived : [await keepSigningKey(pool, PURPOSE, randomBytes(KEY_BYTES))]
  const spool = await FeedbackSpool.open({ folder: join(dataDir, 'feedback-spool'), pool, logger })
  const stop = settleFeedback({ pool, logger })
  return {
    tokens: new FeedbackTokens(keys, Date.now),
    spool,
    close: async () => {
      await stop()
      await spool.close(DEADLINE_MS)
    },
  }
}
