// `make bench-gateway`: what it costs to have a gateway in front of an upstream, beside what others cost.
//
// Tables on stdout, progress on stderr. Everything runs in processes of its own that are gone at the end, however that
// comes; what was fetched is kept in .cache/bench/overhead.

import { writeFile } from 'node:fs/promises'
import { availableParallelism, cpus, loadavg } from 'node:os'
import { join } from 'node:path'

import { barsTable } from '../bars.ts'
import { print, runBench } from '../run.ts'
import { Worker } from '../worker.ts'
import packageJson from '../../../package.json' with { type: 'json' }
import { judgeOverhead } from './bars.ts'
import { CLOSED, OPEN } from './case.ts'
import { Contestants } from './contestants.ts'
import { Headrace } from './headrace.ts'
import { measureMemory } from './memory.ts'
import { readOptions, USAGE } from './options.ts'
import { canMeasure } from './process-tree.ts'
import { runRounds } from './rounds.ts'
import { caseTable, memoryTable, ratioTable } from './tables.ts'
import type { Progress } from '../progress.ts'
import type { OverheadResults } from './bars.ts'
import type { LoadAnswer, LoadAsk } from './load.ts'
import type { OverheadOptions } from './options.ts'
import type { Figures } from './rounds.ts'

await runBench({
  name: 'bench-gateway',
  usage: USAGE,
  readOptions,
  whyNot: () => (canMeasure() ? null : 'It reads /proc, which only Linux has.'),
  run: bench,
})

async function bench(
  options: OverheadOptions,
  progress: Progress,
  signal: AbortSignal,
): Promise<void> {
  print(`# Headrace bench of overhead, ${new Date().toISOString()}\n\n${notes(options)}\n`)
  await using mock = new Worker<object, number>('the mock upstream', entryOf('mock.ts'), signal)
  await using load = new Worker<LoadAsk, LoadAnswer>('the load', entryOf('load.ts'), signal)
  const upstream = `http://127.0.0.1:${await mock.ask({})}`
  const run = { ...options, upstream, load, progress, signal }

  const results: OverheadResults = { figures: [], memory: null }
  if (options.sections.has('closed') || options.sections.has('open')) {
    results.figures = await measureFigures(run)
  }
  if (options.sections.has('memory')) {
    await using headrace = await Headrace.start({ ...run, profileDir: null })
    results.memory = await measureMemory(headrace, load, run)
    print(`## Memory\n\n${memoryTable(results.memory)}\n`)
  }
  const bars = judgeOverhead(results)
  print(`## What is promised\n\n${barsTable(bars)}`)
  if (options.jsonFile !== null) {
    const { rounds, seconds } = options
    const json = { rounds, seconds, ...results, bars }
    await writeFile(options.jsonFile, `${JSON.stringify(json, null, 2)}\n`)
  }
}

async function measureFigures(
  run: OverheadOptions & {
    upstream: string
    load: Worker<LoadAsk, LoadAnswer>
    progress: Progress
    signal: AbortSignal
  },
): Promise<Figures[]> {
  await using contestants = await Contestants.start(run.contestants, run)
  const cases = [
    ...(run.sections.has('closed') ? CLOSED : []),
    ...(run.sections.has('open') ? [OPEN] : []),
  ]
  const figures = await runRounds(contestants.all, cases, run)
  print('## Each case\n')
  for (const one of cases) print(`${caseTable(figures, one)}\n`)
  print(`## CPU beside others\n\n${ratioTable(figures)}\n`)
  for (const sentence of contestants.absent) print(`${sentence}\n`)
  for (const contestant of contestants.all) {
    for (const sentence of (await contestant.remarks?.()) ?? []) print(`${sentence}\n`)
  }
  return figures
}

function notes({ rounds, seconds, isQuick }: OverheadOptions): string {
  const cpu = cpus()[0]?.model ?? 'unknown'
  const lines = [
    `- Machine: ${cpu}, ${availableParallelism()} cores; load ${loadavg()[0]?.toFixed(1)} at the start.`,
    `- Versions: headrace ${packageJson.version}, Node ${process.versions.node}.`,
    '- A mock upstream without delay, about 1 KB each way, or a stream of 50 chunks; the load, the mock and whoever is ' +
      'measured share the cores, so that latencies hold their waiting for each other. CPU is the robust figure.',
    '- CPU ms/1000: user and system time of the process and all it started, for 1,000 requests, until its log is ' +
      "written. PostgreSQL's processes are shown apart; `sum` has both and is what is compared.",
    '- Headrace: a key of its table with limits of every kind and a budget, in a project with the same; prices, metrics, ' +
      'every exchange with its texts in an embedded, durable PostgreSQL, without the index of words. The others log nothing ' +
      'and limit nothing.',
    '- +p50 and +p99: over direct, round by round. At a fixed rate latencies count from when a request was to be sent.',
    '- MiB: proportional set size of the process and what it started, without PostgreSQL.',
    `- ${rounds} ${rounds === 1 ? 'round' : 'rounds'} of ${seconds} s after a warm-up, contestants in turn; medians.`,
  ]
  if (isQuick) lines.push('- A quick run: it shows that everything works, not what it costs.')
  return lines.join('\n')
}

function entryOf(name: string): string {
  return join(import.meta.dirname, name)
}
