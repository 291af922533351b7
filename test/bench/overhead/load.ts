// The clients: a closed loop of so many at once, or a fixed rate whatever the server does, with latencies from the moment
// at which a request was due.

import { performance } from 'node:perf_hooks'

import { Pool } from 'undici'

import { answerParent } from '../worker.ts'
import { quantile } from '../statistics.ts'

export interface LoadAsk {
  origin: string
  headers: Record<string, string>
  body: string
  seconds: number
  /** at once, in a closed loop */
  clients?: number
  /** a second, in an open one */
  rate?: number
  /** ends after so many, whatever the time */
  requests?: number
}

export interface LoadFigures {
  requests: number
  errors: number
  seconds: number
  /** milliseconds */
  p50: number
  p99: number
}

const MAX_OPEN = 512

answerParent(async (ask: LoadAsk): Promise<LoadFigures> => {
  const pool = new Pool(ask.origin, { connections: ask.clients ?? MAX_OPEN, pipelining: 1 })
  const latencies: number[] = []
  let errors = 0
  const one = async (dueMs: number) => {
    try {
      const { statusCode, body } = await pool.request({
        method: 'POST',
        path: '/v1/chat/completions',
        headers: ask.headers,
        body: ask.body,
      })
      let bytes = 0
      for await (const part of body) bytes += (part as Buffer).length
      if (statusCode !== 200 || bytes < 100) errors++
    } catch {
      errors++
    }
    latencies.push(performance.now() - dueMs)
  }
  const startMs = performance.now()
  const endMs = startMs + ask.seconds * 1000
  let sent = 0
  const isOver = () => performance.now() >= endMs || sent >= (ask.requests ?? Infinity)
  if (ask.rate === undefined) {
    const client = async () => {
      while (!isOver()) {
        sent++
        await one(performance.now())
      }
    }
    await Promise.all(Array.from({ length: ask.clients ?? 1 }, client))
  } else {
    await openLoop(ask.rate, startMs, endMs, one)
  }
  const seconds = (performance.now() - startMs) / 1000
  await pool.close()
  return {
    requests: latencies.length,
    errors,
    seconds,
    p50: quantile(latencies, 0.5),
    p99: quantile(latencies, 0.99),
  }
})

async function openLoop(
  rate: number,
  startMs: number,
  endMs: number,
  one: (dueMs: number) => Promise<void>,
) {
  const open = new Set<Promise<void>>()
  let count = 0
  while (performance.now() < endMs) {
    const due = Math.floor(((performance.now() - startMs) * rate) / 1000)
    for (; count < due; count++) {
      const request = one(startMs + (count * 1000) / rate).finally(() => open.delete(request))
      open.add(request)
    }
    await new Promise((resolve) => setTimeout(resolve, 1))
  }
  await Promise.all(open)
}
