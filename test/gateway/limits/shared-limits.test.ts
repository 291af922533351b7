import assert from 'node:assert/strict'
import test from 'node:test'
import type { TestContext } from 'node:test'

import { claimsOf } from '../../../gateway/limits/claim.ts'
import { createScripts } from '../../../gateway/limits/scripts.ts'
import { connectRedis } from '../../../gateway/process/redis.ts'
import { defer } from '../../support/lasting.ts'
import { callerWith, need, SpendBook, startLimits, used } from '../../support/limits.ts'
import { recordLog } from '../../support/logger.ts'
import { REDIS_IS_ABSENT, startRedis } from '../../support/redis.ts'
import { until } from '../../support/until.ts'
import type { Caller } from '../../../gateway/callers/caller.ts'
import type { Limits, Reservation } from '../../../gateway/limits/limits.ts'
import type { Redis } from '../../../gateway/process/redis.ts'

const needsRedis = { skip: REDIS_IS_ABSENT }

async function connect(t: TestContext, url: string): Promise<Redis> {
  const redis = connectRedis(url, 'test', recordLog().logger)
  defer(t, () => redis.disconnect())
  await until(() => redis.status === 'ready')
  return redis
}

async function admitAll(count: number, limits: Limits[], caller: Caller): Promise<Reservation[]> {
  const outcomes = await Promise.allSettled(
    Array.from({ length: count }, (_, i) => limits[i % limits.length]!.admit(caller, need())),
  )
  return outcomes.flatMap((outcome) => (outcome.status === 'fulfilled' ? [outcome.value] : []))
}

test(
  'two replicas that are offered twice the limit admit the limit, exactly',
  needsRedis,
  async (t) => {
    const { url } = await startRedis(t)
    const a = await startLimits(t, { redisUrl: url })
    const b = await startLimits(t, { redisUrl: url })
    const replicas = [a.limits, b.limits]
    const requests = await admitAll(1_200, replicas, callerWith({ requestsPerMinute: 600 }))
    assert.equal(requests.length, 600)
    const tokens = await admitAll(200, replicas, {
      ...callerWith({ tokensPerMinute: 5_050 }),
      id: 'key-2',
    })
    assert.equal(tokens.length, 50)
    for (const reservation of tokens) reservation.settle(used(10, 15), 0)
    assert.equal(
      (await admitAll(200, replicas, { ...callerWith({ tokensPerMinute: 5_050 }), id: 'key-2' }))
        .length,
      38,
    )
  },
)

test(
  'replicas share concurrent requests, budgets and what each has settled',
  needsRedis,
  async (t) => {
    const { url } = await startRedis(t)
    const spend = new SpendBook()
    const a = await startLimits(t, { redisUrl: url, spend })
    const b = await startLimits(t, { redisUrl: url, spend })
    const caller = callerWith({ concurrentRequests: 1 }, { dailyTokens: 250 })
    const first = await a.limits.admit(caller, need())
    await assert.rejects(b.limits.admit(caller, need()), /concurrent requests: Limit 1, Used 1/)
    first.settle(used(10, 50), 0)
    // Settlements are told, not waited for; the next request of the same replica comes behind them.
    const second = await a.limits.admit(caller, need())
    second.settle(used(10, 90), 0)
    await assert.rejects(
      a.limits.admit(caller, need()),
      /daily budget of the project 'search' is 250 tokens; 160 tokens are used or reserved/,
    )
    await assert.rejects(b.limits.admit(caller, need()), /160 tokens are used or reserved/)
    await b.limits.admit(caller, need({ maxTokens: 80 }))
  },
)

test(
  'a budget that Redis has not counted begins where the table left off',
  needsRedis,
  async (t) => {
    const { url } = await startRedis(t)
    const spend = new SpendBook()
    const caller = callerWith({ monthlyUsd: 1 })
    const alone = await startLimits(t, { spend })
    const reservation = await alone.limits.admit(caller, need())
    reservation.settle(used(1, 1), 0.75)
    const { limits } = await startLimits(t, { redisUrl: url, spend })
    const asked = need({ price: { input: 0, output: 5_000 } })
    await assert.rejects(limits.admit(caller, asked), /\$1; \$0\.75 are used/)
  },
)

test(
  'a settlement after its window has passed gives the next one nothing',
  needsRedis,
  async (t) => {
    const { url } = await startRedis(t)
    const scripts = createScripts(await connect(t, url))
    await scripts.sync('', 'me', [])
    const caller = callerWith({ tokensPerMinute: 100 })
    const claims = claimsOf(caller, need(), 0)
    const taken = await scripts.take('me', claims, new Map())
    assert.equal(taken.kind, 'taken')
    // Two minutes before, by slots of a tenth of a second.
    const slot = String(Number(taken.kind === 'taken' && taken.slot) - 1_200)
    await scripts.settle('me', slot, [{ claim: claims[0]!, reserved: 100, used: 1 }])
    const refused = await scripts.take('me', claimsOf(caller, need({ maxTokens: 0 }), 0), new Map())
    assert.equal(refused.kind, 'refused')
    assert.equal(refused.kind === 'refused' && refused.standings[0]?.used, 100)
  },
)

test(
  'Redis is killed: each replica goes on with its share, and is exact again when it is back',
  needsRedis,
  async (t) => {
    const server = await startRedis(t)
    const spend = new SpendBook()
    const a = await startLimits(t, { redisUrl: server.url, spend })
    const b = await startLimits(t, { redisUrl: server.url, spend })
    await until(() => a.limits.replicas === 2)
    const replicas = [a.limits, b.limits]
    const caller = callerWith({
      requestsPerMinute: 100,
      concurrentRequests: 200,
      dailyTokens: 50_000,
    })
    const before = await admitAll(20, replicas, caller)
    assert.equal(before.length, 20)

    await server.kill()
    // Ten of each replica's share of fifty are used already.
    const during = await admitAll(400, replicas, caller)
    assert.equal(during.length, 80)
    assert.ok(a.limits.isDegraded && b.limits.isDegraded)
    assert.ok(a.messages().some((message) => /Redis is away/.test(message)))
    for (const reservation of before.slice(0, 10)) reservation.settle(used(10, 90), 0)

    await server.start()
    await until(() => !a.limits.isDegraded && !b.limits.isDegraded && a.limits.replicas === 2)
    assert.ok(a.messages().some((message) => /Redis is back/.test(message)))
    // The window that Redis lost is remembered here.
    assert.equal((await admitAll(50, replicas, caller)).length, 0)
    // So is what runs (90 requests, of which each reserved 100 tokens) and what was spent (1,000 tokens).
    const others = callerWith({ concurrentRequests: 200, dailyTokens: 50_000 })
    await assert.rejects(
      a.limits.admit(others, need({ maxTokens: 49_000 })),
      /is 50000 tokens; 10000 tokens are used or reserved/,
    )
    const rest = await admitAll(300, replicas, callerWith({ concurrentRequests: 200 }))
    assert.equal(rest.length, 110)
  },
)

test('what a replica held is free when it is dead', needsRedis, async (t) => {
  const server = await startRedis(t)
  const dead = await startLimits(t, { redisUrl: server.url })
  const { limits } = await startLimits(t, { redisUrl: server.url })
  const caller = callerWith({ concurrentRequests: 1 })
  await dead.limits.admit(caller, need())
  await assert.rejects(limits.admit(caller, need()))
  // It is not heard of any more: as its clock can't be waited for, its name is made old.
  const redis = await connect(t, server.url)
  const [first = ''] = await redis.hkeys('{headrace}:limits:key:key-1:held')
  await redis.zadd('{headrace}:limits:replicas', 1, first)
  await limits.admit(caller, need())
})

test(
  'a gateway starts without Redis and joins the others when it is there',
  needsRedis,
  async (t) => {
    const server = await startRedis(t)
    await server.kill()
    const { limits, messages } = await startLimits(t, { redisUrl: server.url })
    assert.equal(limits.isDegraded, true)
    const reservation = await limits.admit(callerWith({ concurrentRequests: 1 }), need())
    await server.start()
    await until(() => !limits.isDegraded)
    const other = await startLimits(t, { redisUrl: server.url })
    await assert.rejects(other.limits.admit(callerWith({ concurrentRequests: 1 }), need()))
    reservation.release()
    await limits.admit(callerWith({ concurrentRequests: 1 }), need())
    assert.ok(messages().some((message) => /Redis is away/.test(message)))
  },
)

test('a replica that leaves is not counted any more', needsRedis, async (t) => {
  const server = await startRedis(t)
  const { limits } = await startLimits(t, { redisUrl: server.url })
  const leaving = await startLimits(t, { redisUrl: server.url })
  await until(() => limits.replicas === 2)
  await leaving.limits.close()
  await until(() => limits.replicas === 1)
})
