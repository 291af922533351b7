// `make bench-log`: how fast exchanges get into the tables, what that costs a request, and how quickly they are found.
//
// Tables on stdout, progress on stderr. Everything is in a folder of .cache/bench that is emptied first.

import { mkdir, rm } from 'node:fs/promises'
import { cpus, loadavg } from 'node:os'
import { join } from 'node:path'

import { barsTable } from '../bars.ts'
import { CACHE_DIR } from '../folders.ts'
import { print, runBench } from '../run.ts'
import { table } from '../table.ts'
import { Worker } from '../worker.ts'
import { readOptions, USAGE } from './options.ts'
import { benchReading } from './reading-section.ts'
import type { Bar } from '../bars.ts'
import type { Progress } from '../progress.ts'
import type { LogOptions } from './options.ts'
import type { WritingAnswer, WritingAsk } from './writing.ts'

const CHARACTERS = 2_048
const MOST_CLOSE_MICROS = 100
const MIB = 1024 * 1024

await runBench({ name: 'bench-log', usage: USAGE, readOptions, run: bench })

async function bench(
  { perSecond, seconds, rows }: LogOptions,
  progress: Progress,
  signal: AbortSignal,
): Promise<void> {
  const [cpu] = cpus()
  print(`# Headrace bench of the exchange log, ${new Date().toISOString()}\n`)
  print(
    `- Machine: ${cpu?.model ?? 'unknown'}, ${cpus().length} cores; load ${loadavg()[0]?.toFixed(1)}.`,
  )
  print(
    `- Prompts and answers of ${CHARACTERS} characters each, into an embedded, durable PostgreSQL.\n`,
  )

  const dataDir = join(CACHE_DIR, 'log')
  await rm(dataDir, { recursive: true, force: true })
  await mkdir(dataDir, { recursive: true })
  const entry = join(import.meta.dirname, 'writing.ts')
  await using writer = new Worker<WritingAsk, WritingAnswer>('the writer', entry, signal)
  const written = await writer.ask({
    dataDir,
    perSecond,
    seconds,
    promptCharacters: CHARACTERS,
    answerCharacters: CHARACTERS,
  })
  print(`## Writing\n\n${writingTable(written)}\n`)
  const bars = writingBars(written, perSecond)
  if (rows > 0) {
    const run = { dataDir: join(CACHE_DIR, 'log-reading'), rows, progress, signal }
    const read = await benchReading(run)
    print(`## Reading, among ${rows} of one day\n\n${read.tables}\n`)
    bars.push(...read.bars)
  }
  print(`## What is promised\n\n${barsTable(bars)}`)
}

function writingTable(written: WritingAnswer): string {
  const perSecond = written.closed / (written.seconds + written.behindSeconds)
  return table(
    ['what', 'measured'],
    [
      ['exchanges closed', `${written.closed} in ${written.seconds.toFixed(1)} s`],
      [
        'rows in the tables',
        `${written.rows}, bodies ${written.bodies}, dropped ${written.dropped}`,
      ],
      [
        'behind at the end',
        `${written.behindSeconds.toFixed(2)} s; most that waited ${written.mostPending}`,
      ],
      ['sustained', `${perSecond.toFixed(0)} a second`],
      [
        'closing one, p50 / p99 / p99.9',
        [written.closeP50Micros, written.closeP99Micros, written.closeP999Micros]
          .map((micros) => `${micros.toFixed(0)} µs`)
          .join(' / '),
      ],
      ["event loop's delay, p99", `${written.loopDelayP99Ms.toFixed(1)} ms`],
      [
        'CPU of 1,000',
        `${written.ownCpuMs.toFixed(0)} ms, PostgreSQL ${written.postgresCpuMs.toFixed(0)} ms`,
      ],
      [
        'memory of the process',
        `${(written.memoryBytes / MIB).toFixed(0)} MiB before, ${(written.mostMemoryBytes / MIB).toFixed(0)} MiB at most`,
      ],
      [
        'on disk for each exchange',
        `${written.bytesPerExchange.toFixed(0)} bytes, indexes included, of ${written.characters} characters`,
      ],
    ],
  )
}

function writingBars(written: WritingAnswer, perSecond: number): Bar[] {
  const sustained = written.closed / (written.seconds + written.behindSeconds)
  const lost = written.closed - written.rows
  return [
    {
      what: `exchanges a second into the tables, none lost`,
      bar: `≥ ${perSecond}`,
      measured: `${sustained.toFixed(0)}, ${lost} lost`,
      // The last batch is written after the last exchange is closed.
      isMet: sustained >= 0.97 * perSecond && lost === 0,
    },
    {
      what: 'closing an exchange, p99',
      bar: `< ${MOST_CLOSE_MICROS} µs`,
      measured: `${written.closeP99Micros.toFixed(0)} µs`,
      isMet: written.closeP99Micros < MOST_CLOSE_MICROS,
    },
  ]
}
