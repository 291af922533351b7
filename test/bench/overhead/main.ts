// `make bench-gateway`: what a gateway costs on top of the upstream it stands in front of, with everything switched on.
//
// CPU time a request is the figure that holds on a shared machine; clients, mock and gateways share its cores, and take
// turns. Latencies are read against asking the mock directly in the same round.

import { parseArgs } from 'node:util'

import { canRun } from '../command.ts'
import { cleanEnvironment } from '../environment.ts'
import { startProgress } from '../progress.ts'
import { median } from '../statistics.ts'
import { figure, megabytes, table } from '../table.ts'
import { Worker } from '../worker.ts'
import { bareProxy, direct, headrace, litellm, nginx, portkey, startMock } from './contestants.ts'
import { installLiteLLM, installPortkey } from './peers.ts'
import type { OverheadContestant } from './contestants.ts'
import type { LoadAsk, LoadFigures } from './load.ts'

const USAGE = `Usage: node test/bench/overhead/main.ts [options]        make bench-gateway ARGS="[options]"

  --rounds N        turns of each contestant in each case (default 3)
  --seconds N       of a turn (default 5)
  --litellm         LiteLLM too: installs some hundred megabytes of Python
  --memory N        sends N requests at Headrace afterwards and reads its memory at a quarter and at the end
  --quick           one short round: does it run, not what it costs
`

interface Case {
  name: string
  isStreamed: boolean
  clients?: number
  rate?: number
}

const CASES: Case[] = [
  ...[1, 16, 64].map((clients) => ({ name: `JSON, ${clients}`, isStreamed: false, clients })),
  ...[1, 16, 64].map((clients) => ({ name: `stream, ${clients}`, isStreamed: true, clients })),
  { name: 'JSON, 1,000/s', isStreamed: false, rate: 1000 },
]
const CLIENTS_OF_BARS = 16
const WARM_UP_SECONDS = 1

const { values } = parseArgs({
  options: {
    rounds: { type: 'string', default: '3' },
    seconds: { type: 'string', default: '5' },
    litellm: { type: 'boolean', default: false },
    memory: { type: 'string' },
    quick: { type: 'boolean', default: false },
    help: { type: 'boolean', default: false },
  },
})
if (values.help) process.stdout.write(USAGE)
else await bench()

interface Turn extends LoadFigures {
  contestant: string
  case: Case
  /** milliseconds of a request, database included, and the database's own */
  cpuMs: number
  databaseCpuMs: number
  residentBytes: number
}

async function bench() {
  const progress = startProgress(process.stderr)
  const interruption = new AbortController()
  process.once('SIGINT', () => interruption.abort())
  const { signal } = interruption
  const rounds = values.quick ? 1 : Number(values.rounds)
  const seconds = values.quick ? 1.5 : Number(values.seconds)

  await using parts = new AsyncDisposableStack()
  const mock = await startMock()
  parts.defer(() => void mock.child.kill())
  const load = parts.use(
    new Worker<LoadAsk, LoadFigures>('the clients', `${import.meta.dirname}/load.ts`, signal),
  )
  const contestants: OverheadContestant[] = [direct(mock.origin)]
  const add = async (starting: Promise<OverheadContestant>) => {
    contestants.push(parts.use(await starting))
  }
  const left: string[] = []
  if (await canRun('nginx', ['-v'], { env: cleanEnvironment(), signal })) {
    await add(nginx(mock.origin))
  } else left.push('nginx: not installed')
  await add(bareProxy(mock.origin))
  const noPortkey = await installPortkey(progress, signal)
  if (noPortkey === null) await add(portkey(mock.origin))
  else left.push(`Portkey: ${noPortkey}`)
  const noLiteLLM = values.litellm ? await installLiteLLM(progress, signal) : 'not asked for'
  if (noLiteLLM === null) await add(litellm(mock.origin))
  else left.push(`LiteLLM: ${noLiteLLM}`)
  await add(headrace(mock.origin))

  const turns: Turn[] = []
  for (let round = 0; round < rounds; round++) {
    for (const each of CASES) {
      for (let turn = 0; turn < contestants.length; turn++) {
        const contestant = contestants[(turn + round) % contestants.length]!
        progress(`round ${round + 1} of ${rounds}, ${each.name}, ${contestant.name}`)
        await load.ask(askOf(contestant, each, WARM_UP_SECONDS))
        turns.push(await measure(load, contestant, each, seconds))
      }
    }
  }
  report(turns, contestants, left)
  const own = contestants.at(-1)
  if (values.memory !== undefined && own) await memory(load, own, Number(values.memory), progress)
}

function askOf(
  { origin, headers, model }: OverheadContestant,
  each: Case,
  seconds: number,
): LoadAsk {
  const { isStreamed, clients, rate } = each
  // About a kilobyte, as a question with some context is.
  const content = 'What does a headrace do? '.repeat(36)
  const body = JSON.stringify({
    model,
    messages: [{ role: 'user', content }],
    max_tokens: 50,
    ...(isStreamed && { stream: true, stream_options: { include_usage: true } }),
  })
  return { origin, headers, body, seconds, ...(rate === undefined ? { clients } : { rate }) }
}

async function measure(
  load: Worker<LoadAsk, LoadFigures>,
  contestant: OverheadContestant,
  each: Case,
  seconds: number,
): Promise<Turn> {
  const before = await contestant.usage()
  const databaseBefore = await contestant.databaseUsage?.()
  const figures = await load.ask(askOf(contestant, each, seconds))
  // The log of the last requests is written a moment later.
  if (contestant.databaseUsage) await new Promise((resolve) => setTimeout(resolve, 500))
  const after = await contestant.usage()
  const databaseAfter = await contestant.databaseUsage?.()
  const database = (databaseAfter?.cpuMs ?? 0) - (databaseBefore?.cpuMs ?? 0)
  return {
    ...figures,
    contestant: contestant.name,
    case: each,
    cpuMs: (after.cpuMs - before.cpuMs) / figures.requests,
    databaseCpuMs: database / figures.requests,
    residentBytes: after.residentBytes,
  }
}

function report(turns: Turn[], contestants: OverheadContestant[], left: string[]) {
  const of = (contestant: string, each: Case, read: (turn: Turn) => number) =>
    median(turns.filter((t) => t.contestant === contestant && t.case === each).map(read))
  const rows = contestants.flatMap(({ name }) =>
    CASES.map((each) => {
      const cpu = of(name, each, (t) => t.cpuMs)
      const database = of(name, each, (t) => t.databaseCpuMs)
      return [
        name,
        each.name,
        figure(of(name, each, (t) => t.requests / t.seconds)),
        name === 'direct' ? '–' : figure(cpu * 1000),
        database > 0 ? figure(database * 1000) : '–',
        figure(of(name, each, (t) => t.p50) - of('direct', each, (t) => t.p50)),
        figure(of(name, each, (t) => t.p99) - of('direct', each, (t) => t.p99)),
        name === 'direct' ? '–' : megabytes(of(name, each, (t) => t.residentBytes)),
        String(
          turns
            .filter((t) => t.contestant === name && t.case === each)
            .reduce((sum, t) => sum + t.errors, 0),
        ),
      ]
    }),
  )
  const head = [
    'gateway',
    'case, clients',
    'requests/s',
    'CPU ms of 1,000 requests',
    'of it database',
    'added p50 ms',
    'added p99 ms',
    'memory MiB',
    'errors',
  ]
  print(`# What a gateway costs\n\n${table(head, rows)}\n`)
  for (const each of left) print(`Left out: ${each}.`)

  const names = contestants.map(({ name }) => name)
  // What answers with errors costs less than what answers.
  const hasFailed = (name: string, isStreamed: boolean) =>
    turns.some((t) => t.contestant === name && t.case.isStreamed === isStreamed && t.errors > 0)
  const cpuOf = (name: string, isStreamed: boolean) => {
    const each = CASES.find((c) => c.isStreamed === isStreamed && c.clients === CLIENTS_OF_BARS)!
    return of(name, each, (t) => t.cpuMs)
  }
  const bars: string[][] = []
  const bar = (what: string, most: number, measured: number, unit: string) => {
    bars.push([
      what,
      `≤ ${figure(most)}${unit}`,
      `${figure(measured)}${unit}`,
      measured <= most ? 'pass' : 'FALLS SHORT',
    ])
  }
  for (const [peer, isStreamed, most] of [
    ['Fastify + undici, bare', false, 2],
    ['Fastify + undici, bare', true, 1.5],
    ['Portkey', false, 1 / 3],
    ['Portkey', true, 1 / 3],
    ['LiteLLM', false, 1 / 10],
    ['LiteLLM', true, 1 / 10],
  ] as const) {
    if (!names.includes(peer) || hasFailed(peer, isStreamed)) continue
    const what = `CPU of a request, ${isStreamed ? 'stream' : 'JSON'}, ${CLIENTS_OF_BARS} clients, against ${peer}`
    bar(what, most, cpuOf('Headrace', isStreamed) / cpuOf(peer, isStreamed), '×')
  }
  const open = CASES.find(({ rate }) => rate !== undefined)!
  const added = of('Headrace', open, (t) => t.p99) - of('direct', open, (t) => t.p99)
  bar('added p99 at 1,000 requests/s', 2, added, ' ms')
  print(`\n## What is promised\n\n${table(['promise', 'bar', 'measured', ''], bars)}`)
}

/** Flat: what is kept for each request would show. */
async function memory(
  load: Worker<LoadAsk, LoadFigures>,
  own: OverheadContestant,
  requests: number,
  progress: (what: string) => void,
) {
  const each = CASES.find(({ clients }) => clients === CLIENTS_OF_BARS)!
  const send = async (count: number) => {
    await load.ask({ ...askOf(own, each, 3600), requests: count })
    own.collect?.()
    await new Promise((resolve) => setTimeout(resolve, 3_000))
    return (await own.usage()).residentBytes - ((await own.databaseUsage?.())?.residentBytes ?? 0)
  }
  progress(`memory: ${requests} requests`)
  const early = await send(Math.round(requests / 4))
  const late = await send(requests - Math.round(requests / 4))
  const change = (late / early - 1) * 100
  const verdict = Math.abs(change) <= 5 ? 'pass' : 'FALLS SHORT'
  print(
    `\n## Memory\n\nThe gateway's process after a quarter of ${requests} requests ${megabytes(early)} MiB, after all ` +
      `${megabytes(late)} MiB: ${change >= 0 ? '+' : ''}${change.toFixed(1)} % (bar ± 5 %: ${verdict}).`,
  )
}

function print(text: string) {
  process.stdout.write(`${text}\n`)
}
