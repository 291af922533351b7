// Two whole gateways on one Redis, one PostgreSQL and one upstream.
//
// Knows: what they share. Does not know: what is asked of them, or shown.

import { REDIS_IS_ABSENT, startRedis } from '../support/redis.ts'
import { ProofPostgres } from './database.ts'
import { Replica } from './replica.ts'
import { startUpstream } from './upstream.ts'
import type { Lasting } from '../support/lasting.ts'

/** @throws Error where there is no Redis */
export async function startPair(t: Lasting) {
  if (REDIS_IS_ABSENT) throw new Error(`Nothing can be shown: ${REDIS_IS_ABSENT}.`)
  const upstream = await startUpstream(t)
  const redis = await startRedis(t)
  const postgres = await ProofPostgres.start(t)
  const shared = { upstreamUrl: upstream.url, databaseUrl: postgres.url, redisUrl: redis.url }
  const replicas = [
    await Replica.start(t, { name: 'a', ...shared }),
    await Replica.start(t, { name: 'b', ...shared }),
  ] as const
  return { redis, postgres, replicas }
}
