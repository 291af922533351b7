// What the tables would say of such a day: hours of callers, and the ledger.
//
// Knows: rows. Does not know: panels.

import { randomUUIDv7 } from 'node:crypto'
import { join } from 'node:path'

import { migrate } from '../../../gateway/db/migrate.ts'
import { createPool } from '../../../gateway/db/pool.ts'
import { ExchangeLog, postgresSink } from '../../../gateway/exchange-log/exchange-log.ts'
import { exchangeAt } from '../../support/exchange-record.ts'
import { makeFolder } from '../../support/folder.ts'
import { defer } from '../../support/lasting.ts'
import { recordLog } from '../../support/logger.ts'
import { ProofPostgres } from '../../proofs/database.ts'
import { FROM_S } from './day.ts'
import type { Pool } from '../../../gateway/db/pool.ts'
import type { Lasting } from '../../support/lasting.ts'

export const DAY = { from: new Date('2026-01-15T00:00:00Z'), to: new Date('2026-01-16T00:00:00Z') }

const CALLERS = [
  { name: 'website', project: 'shop', model: 'guide', version: 'guide@7', busy: 9, usd: 0.004 },
  {
    name: 'support-bot',
    project: 'support',
    model: 'chat',
    version: 'gpt-4o@openai',
    busy: 5,
    usd: 0.02,
  },
  {
    name: 'batch-jobs',
    project: 'shop',
    model: 'summary',
    version: 'summary@3',
    busy: 3,
    usd: 0.006,
  },
  { name: 'notebook', project: null, model: 'guide', version: 'guide@8', busy: 2, usd: 0.003 },
]

export async function writeTables(t: Lasting): Promise<Pool> {
  const { logger } = recordLog()
  const database = await ProofPostgres.start(t)
  const pool = createPool({ connectionString: database.url }, logger)
  defer(t, () => pool.end())
  await migrate(pool)
  await writeExchanges(t, pool)
  await writeLedger(pool)
  return pool
}

async function writeExchanges(t: Lasting, pool: Pool) {
  const { logger } = recordLog()
  const log = await ExchangeLog.open({
    folder: join(await makeFolder(t, 'spool')),
    maxBytes: 1e9,
    sink: postgresSink(pool),
    logger,
  })
  const projects = new Map<string, string>()
  for (const { project } of CALLERS) {
    if (project === null || projects.has(project)) continue
    const id = randomUUIDv7()
    projects.set(project, id)
    await pool.query(
      "INSERT INTO projects (id, name, created_at, created_by, updated_at) VALUES ($1, $2, now(), 'day', now())",
      [id, project],
    )
  }
  for (const { name, project, model, version, busy, usd } of CALLERS) {
    const callerId = randomUUIDv7()
    const projectId = project === null ? null : (projects.get(project) ?? null)
    await pool.query(
      "INSERT INTO api_keys (id, name, role, key_hash, prefix, created_at, project_id) VALUES ($1, $2, 'caller', $3, 'hr_', now(), $4)",
      [callerId, name, Buffer.from(callerId), projectId],
    )
    for (let hour = 0; hour < 24; hour++) {
      const count = Math.round(busy * (0.2 + Math.exp(-(((hour - 14) / 4) ** 2))))
      for (let n = 0; n < count; n++) {
        const minute = String(n % 60).padStart(2, '0')
        const isRefused = (hour + n) % 7 === 3
        log.append(
          exchangeAt(`2026-01-15T${String(hour).padStart(2, '0')}:${minute}:00Z`, {
            callerId,
            callerName: name,
            projectId,
            model,
            version,
            upstream: version.endsWith('openai') ? 'openai' : 'local',
            promptTokens: isRefused ? null : 200 + 20 * n,
            cachedTokens: isRefused ? null : 90,
            completionTokens: isRefused ? null : 80 + 10 * n,
            costUsd: isRefused ? null : usd,
            outcome: isRefused ? 'refused' : (hour + n) % 19 === 5 ? 'failed' : 'completed',
            errorCode: isRefused ? 'rate_limit_exceeded' : null,
            status: isRefused ? 429 : 200,
          }),
        )
      }
    }
  }
  await log.flush()
  await log.close(1_000)
}

async function writeLedger(pool: Pool) {
  const canary = (share: number) => ({ version: 'guide@8', share, steps: [1], bakeSeconds: 60 })
  const entries = [
    { minute: 2.5, action: 'canary', canary: canary(0.1), reason: 'better answers' },
    { minute: 4.6, action: 'step', canary: canary(0.4), reason: null },
    { minute: 6.7, action: 'rollback', canary: null, reason: 'error_rate: 12 % against 0 %' },
  ]
  for (const [index, { minute, action, canary, reason }] of entries.entries()) {
    const state = {
      targets: [{ version: 'guide@7', weight: 1 }],
      canary,
      shadow: null,
      fallbacks: [],
    }
    await pool.query(
      `INSERT INTO deployments (model, number, at, action, outcome, state, reason, actor_name, actor_via)
       VALUES ('guide', $1, $2, $3, 'live', $4, $5, $6, 'api')`,
      [
        12 + index,
        new Date((FROM_S + minute * 60) * 1000),
        action,
        JSON.stringify(state),
        reason,
        action === 'rollback' ? 'headrace' : 'anna',
      ],
    )
  }
}
