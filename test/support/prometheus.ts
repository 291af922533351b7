// A real Prometheus and a real Alertmanager of a test's own, on ports of their own, gone with it.

import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { writeFile } from 'node:fs/promises'
import { createServer } from 'node:http'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import type { ChildProcess } from 'node:child_process'
import type { AddressInfo } from 'node:net'

import { makeFolder } from './folder.ts'
import { defer } from './lasting.ts'
import type { Lasting } from './lasting.ts'

export interface Series {
  labels: Record<string, string>
  /** time in seconds, and value */
  points: [number, number][]
}

interface Answer {
  status: 'success' | 'error'
  error?: string
  data: { result: { metric: Record<string, string>; value?: Point; values?: Point[] }[] }
}

type Point = [number, string]

export interface PrometheusOptions {
  /** as in prometheus.yml; absent: nothing is scraped */
  config?: object
  /** of data that is there already */
  dataFolder?: string
  /** how long the last sample of a series counts that ends without a word */
  lookback?: string
}

const READY_MS = 20_000

export class TestPrometheus {
  readonly url: string

  constructor(url: string) {
    this.url = url
  }

  static async start(t: Lasting, { config = {}, dataFolder, lookback = '5m' }: PrometheusOptions) {
    const folder = await makeFolder(t, 'prometheus')
    const file = join(folder, 'prometheus.yml')
    // JSON is YAML too.
    await writeFile(file, JSON.stringify(config))
    const port = await freePort()
    await startProgram(t, `http://127.0.0.1:${port}/-/ready`, 'prometheus', [
      `--config.file=${file}`,
      `--storage.tsdb.path=${dataFolder ?? join(folder, 'data')}`,
      // What is made for a test is of any time.
      '--storage.tsdb.retention.time=100y',
      `--web.listen-address=127.0.0.1:${port}`,
      `--query.lookback-delta=${lookback}`,
      '--log.level=error',
    ])
    return new TestPrometheus(`http://127.0.0.1:${port}`)
  }

  /** What an expression is now, or at that time in seconds. @throws Error with what Prometheus says against it */
  async query(expr: string, time?: number): Promise<Series[]> {
    return this.#ask('query', { query: expr, ...(time === undefined ? {} : { time: `${time}` }) })
  }

  async queryRange(expr: string, range: { from: number; to: number; step: number }) {
    return this.#ask('query_range', {
      query: expr,
      start: String(range.from),
      end: String(range.to),
      step: String(range.step),
    })
  }

  /** @returns the first answer that has anything */
  async until(expr: string, withinMs: number): Promise<Series[]> {
    const deadline = performance.now() + withinMs
    for (;;) {
      const series = await this.query(expr)
      if (series.length > 0 || performance.now() > deadline) return series
      await sleep(250)
    }
  }

  async #ask(path: string, fields: Record<string, string>): Promise<Series[]> {
    const body = new URLSearchParams(fields)
    const response = await fetch(`${this.url}/api/v1/${path}`, { method: 'POST', body })
    const answer = (await response.json()) as Answer
    if (answer.status !== 'success') throw new Error(`${fields['query']}: ${answer.error}`)
    return answer.data.result.map(({ metric, value, values }) => ({
      labels: metric,
      points: (values ?? (value ? [value] : [])).map(([at, text]) => [at, Number(text)]),
    }))
  }
}

interface Notification {
  status: 'firing' | 'resolved'
  alerts: {
    status: string
    labels: Record<string, string>
    annotations: Record<string, string>
  }[]
}

export interface TestAlertmanager {
  url: string
  /** what its webhook was told so far */
  told: Notification[]
}

/** Whose every alert goes to a webhook of this process. */
export async function startAlertmanager(t: Lasting): Promise<TestAlertmanager> {
  const told: Notification[] = []
  const webhook = createServer((request, response) => {
    let body = ''
    request.on('data', (chunk) => (body += String(chunk)))
    request.on('end', () => {
      told.push(JSON.parse(body) as Notification)
      response.end()
    })
  }).listen(0, '127.0.0.1')
  await once(webhook, 'listening')
  defer(t, () => void webhook.close())
  const hook = `http://127.0.0.1:${(webhook.address() as AddressInfo).port}/`

  const folder = await makeFolder(t, 'alertmanager')
  const file = join(folder, 'alertmanager.yml')
  const route = {
    receiver: 'hook',
    group_by: ['alertname', 'model', 'version'],
    group_wait: '1s',
    group_interval: '1s',
    repeat_interval: '1h',
  }
  const receivers = [{ name: 'hook', webhook_configs: [{ url: hook }] }]
  await writeFile(file, JSON.stringify({ route, receivers }))
  const port = await freePort()
  await startProgram(t, `http://127.0.0.1:${port}/-/ready`, 'prometheus-alertmanager', [
    `--config.file=${file}`,
    `--storage.path=${join(folder, 'data')}`,
    `--web.listen-address=127.0.0.1:${port}`,
    // Alone: it looks for no others.
    '--cluster.listen-address=',
    '--log.level=error',
  ])
  return { url: `127.0.0.1:${port}`, told }
}

async function startProgram(t: Lasting, ready: string, command: string, args: string[]) {
  const child = spawn(command, args, { stdio: ['ignore', 'ignore', 'pipe'] })
  let said = ''
  child.stderr.on('data', (chunk) => (said += String(chunk)))
  defer(t, () => end(child))
  const deadline = performance.now() + READY_MS
  for (;;) {
    const answer = await fetch(ready).catch(() => null)
    if (answer?.ok) return
    if (child.exitCode !== null || performance.now() > deadline) {
      throw new Error(`${command} did not start:\n${said}`)
    }
    await sleep(50)
  }
}

async function end(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return
  const gone = once(child, 'exit')
  child.kill('SIGTERM')
  const cut = setTimeout(() => child.kill('SIGKILL'), 5_000)
  await gone
  clearTimeout(cut)
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  server.close()
  await once(server, 'close')
  return port
}
