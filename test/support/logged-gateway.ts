// A gateway whose exchanges reach real tables: spool, writer, admin API.

import { randomBytes } from 'node:crypto'
import type { TestContext } from 'node:test'

import OpenAI from 'openai'

import { FeedbackSpool } from '../../gateway/feedback/spool.ts'
import { FeedbackTokens } from '../../gateway/feedback/tokens.ts'
import { startAdmin } from './admin.ts'
import { openExchangeLog } from './exchange-log.ts'
import { makeFolder } from './folder.ts'
import { CHAT } from './gateway.ts'
import { defer } from './lasting.ts'
import { recordLog } from './logger.ts'
import type { AppDeps } from '../../gateway/app.ts'
import type { ExchangeLogOptions } from '../../gateway/exchange-log/exchange-log.ts'
import type { TestPostgres } from './postgres.ts'

interface LoggedOptions {
  log?: Partial<ExchangeLogOptions>
  deps?: Partial<AppDeps>
  /** milliseconds since 1970, of feedback tokens */
  now?: () => number
}

export async function startLogged(
  t: TestContext,
  postgres: TestPostgres,
  { log, deps, now = Date.now }: LoggedOptions = {},
) {
  const pool = await postgres.pool(t)
  const { log: exchangeLog, countRows } = await openExchangeLog(t, pool, log)
  const { logger } = recordLog()
  const folder = await makeFolder(t)
  const spool = await FeedbackSpool.open({ folder, pool, logger, retryMs: 5 })
  defer(t, () => spool.close(0))
  const tokens = new FeedbackTokens([randomBytes(32)], now)
  const feedback = { tokens, spool }
  const admin = await startAdmin(t, pool, { deps: { exchangeLog, feedback, ...deps } })
  const clientOf = (apiKey: string) =>
    new OpenAI({ baseURL: `${admin.url}/v1`, apiKey, maxRetries: 0 })
  /** @returns the exchange's id */
  const chat = async (key: string, body: object = {}): Promise<string> => {
    const response = await fetch(`${admin.url}/v1/chat/completions`, {
      method: 'POST',
      headers: { authorization: `Bearer ${key}`, 'content-type': 'application/json' },
      body: JSON.stringify({ ...CHAT, ...body }),
    })
    await response.text()
    return response.headers.get('x-request-id')!
  }
  return { ...admin, exchangeLog, countRows, spool, tokens, clientOf, chat }
}
