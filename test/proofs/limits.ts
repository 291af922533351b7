// Shows that a limit is one limit, however many gateways there are: two processes on one Redis are offered more than
// twice of 600 requests a minute, for as many minutes as are asked for, and admit 600 in each.
//
//   make limits-proof            one minute
//   make limits-proof ARGS=3     three

import { fork } from 'node:child_process'
import { once } from 'node:events'

import { openLimits } from '../../gateway/limits/open-limits.ts'
import { connectRedis } from '../../gateway/redis.ts'
import { callerWith, need, SpendBook, used } from '../support/limits.ts'
import { recordLog } from '../support/logger.ts'
import { REDIS_IS_ABSENT, startRedis } from '../support/redis.ts'

const LIMIT = 600
const TOLERANCE = 0.01
const MINUTE_MS = 60_000
/** of each gateway, in a minute: together 2.5 times the limit */
const OFFERED = 750

interface Count {
  minute: number
  offered: number
  admitted: number
}

const now = () => performance.timeOrigin + performance.now()

/** One gateway's limiter: asks at a fixed pace and reports what was admitted in each minute. */
async function offer(redisUrl: string, startMs: number, minutes: number): Promise<Count[]> {
  const { logger } = recordLog()
  const redis = connectRedis(redisUrl, 'limits', logger)
  const book = new SpendBook()
  const limits = await openLimits({
    redis,
    sumSpend: (questions) => book.sum(questions),
    logger,
    now,
  })
  if (limits.isDegraded) throw new Error('Redis does not answer.')
  const caller = callerWith({ requestsPerMinute: LIMIT })
  const counts = Array.from({ length: minutes }, (_, minute) => ({
    minute: minute + 1,
    offered: 0,
    admitted: 0,
  }))
  const asked: Promise<void>[] = []
  for (let i = 0; i < minutes * OFFERED; i++) {
    const dueMs = startMs + ((i + Math.random()) * MINUTE_MS) / OFFERED
    await new Promise((resolve) => setTimeout(resolve, Math.max(0, dueMs - now())))
    const count = counts[Math.min(minutes - 1, Math.floor((now() - startMs) / MINUTE_MS))]
    if (!count) throw new Error('It is before the start. This is a bug.')
    count.offered++
    const ask = async () => {
      const reservation = await limits.admit(caller, need()).catch(() => null)
      if (!reservation) return
      count.admitted++
      reservation.settle(used(10, 20), 0)
    }
    asked.push(ask())
  }
  await Promise.all(asked)
  await limits.close()
  return counts
}

async function prove(minutes: number): Promise<boolean> {
  await using undo = new AsyncDisposableStack()
  const redis = await startRedis({ after: (stop) => undo.defer(stop) })
  const startMs = Math.ceil(now()) + 2_000
  console.log(
    `Two gateways on one Redis, ${2 * OFFERED} requests a minute for a limit of ${LIMIT}.`,
  )
  const gateways = ['a', 'b'].map(() =>
    fork(import.meta.filename, ['offer', redis.url, String(startMs), String(minutes)]),
  )
  const reports = await Promise.all(
    gateways.map(async (gateway) => (await once(gateway, 'message'))[0] as Count[]),
  )
  let isTrue = true
  for (let minute = 0; minute < minutes; minute++) {
    const counts = reports.map((report) => report[minute])
    const admitted = counts.reduce((sum, count) => sum + (count?.admitted ?? 0), 0)
    const offered = counts.reduce((sum, count) => sum + (count?.offered ?? 0), 0)
    const isExact = Math.abs(admitted - LIMIT) <= TOLERANCE * LIMIT
    isTrue &&= isExact
    const shares = counts.map((count) => count?.admitted).join(' + ')
    console.log(
      `  minute ${minute + 1}: offered ${offered}, admitted ${shares} = ${admitted}, ` +
        (isExact ? 'as it should be' : `not within ${100 * TOLERANCE} %`),
    )
  }
  return isTrue
}

const [first = '1', redisUrl = '', startMs = '0', minutes = '1'] = process.argv.slice(2)
if (first === 'offer') {
  process.send?.(await offer(redisUrl, Number(startMs), Number(minutes)))
  process.disconnect()
} else if (REDIS_IS_ABSENT) {
  console.log(`Nothing is shown: ${REDIS_IS_ABSENT}.`)
} else if (!(await prove(Number(first)))) {
  process.exitCode = 1
}
