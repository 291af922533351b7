// A record of an exchange as a route would have left it.

import { randomUUIDv7 } from 'node:crypto'

import { lowestIdAt } from '../../gateway/db/partitions.ts'
import type { ExchangeRecord } from '../../gateway/exchange/exchange-record.ts'

export function exchangeRecord(changes: Partial<ExchangeRecord> = {}): ExchangeRecord {
  return {
    id: randomUUIDv7(),
    startedAt: new Date('2026-03-01T10:00:00.000Z'),
    closedAt: new Date('2026-03-01T10:00:01.500Z'),
    callerId: null,
    callerName: 'tests',
    projectId: null,
    endUser: null,
    session: null,
    conversationId: null,
    previousId: null,
    digest: null,
    previousDigest: null,
    tags: null,
    metadata: null,
    method: 'POST',
    route: '/v1/chat/completions',
    requestedModel: 'guide',
    model: 'guide',
    version: 'guide@2',
    upstream: 'local',
    deployment: null,
    attempts: [{ version: 'guide@2', upstream: 'local', ms: 14, error: null, detail: null }],
    streamed: true,
    prompt: [{ role: 'user', content: 'Hi' }],
    answer: ['Hello'],
    toolCalls: null,
    parameters: { temperature: 0.5 },
    finishReasons: ['stop'],
    isDeclined: false,
    promptTokens: 7,
    cachedTokens: 2,
    completionTokens: 5,
    isUsageEstimated: false,
    costUsd: null,
    cache: null,
    queueMs: 0.25,
    prefillMs: 11,
    decodeMs: 29,
    timeToFirstTokenMs: 14,
    interTokenMs: null,
    overheadMs: 1,
    totalMs: 1500,
    outcome: 'completed',
    status: 200,
    errorCode: null,
    errorMessage: null,
    isStored: false,
    ...changes,
  }
}

/** With an id and a beginning of that time. */
export function exchangeAt(at: string, changes: Partial<ExchangeRecord> = {}): ExchangeRecord {
  const startedAt = new Date(at)
  const id = lowestIdAt(startedAt.getTime()).slice(0, 14) + randomUUIDv7().slice(14)
  return exchangeRecord({ id, startedAt, ...changes })
}
