// What is promised of overhead, with what was measured now.
//
// Headrace's CPU is its own and its PostgreSQL's together. Of several numbers of clients the worst counts.

import { CLOSED, OPEN, OPEN_RATE } from './case.ts'
import { BARE } from './contestants.ts'
import { DIRECT, wholeCpuMs } from './rounds.ts'
import type { Bar } from '../bars.ts'
import type { Figures } from './rounds.ts'
import { MEMORY_REQUESTS } from './memory.ts'
import type { MemoryFigures } from './memory.ts'

export interface OverheadResults {
  figures: Figures[]
  memory: MemoryFigures | null
}

const MOST_ADDED_P99_MS = 2
const MOST_GROWTH = 0.05

interface CpuBar {
  rival: string
  isStreamed: boolean | null
  most: number
  shown: string
}

const CPU_BARS: CpuBar[] = [
  { rival: BARE, isStreamed: false, most: 2, shown: '≤ 2 ×' },
  { rival: BARE, isStreamed: true, most: 1.5, shown: '≤ 1.5 ×' },
  { rival: 'Portkey', isStreamed: null, most: 1 / 3, shown: '≤ 1/3' },
  { rival: 'LiteLLM', isStreamed: null, most: 1 / 10, shown: '≤ 1/10' },
]

/** CPU of Headrace with its database, as a multiple of a rival's; null where one of them was not measured. */
export function cpuRatio(
  figures: readonly Figures[],
  rival: string,
  loadCase: string,
  costOf: (figures: Figures) => number | null = wholeCpuMs,
): number | null {
  const find = (name: string) =>
    figures.find((one) => one.contestant === name && one.loadCase === loadCase)
  const [ours, theirs] = [find('Headrace'), find(rival)]
  if (!ours || !theirs || ours.failures > 0 || theirs.failures > 0) return null
  const [cost, rivalCost] = [costOf(ours), wholeCpuMs(theirs)]
  return cost === null || !rivalCost ? null : cost / rivalCost
}

export function judgeOverhead({ figures, memory }: OverheadResults): Bar[] {
  return [...CPU_BARS.map((one) => cpuBar(figures, one)), addedBar(figures), memoryBar(memory)]
}

function cpuBar(figures: readonly Figures[], { rival, isStreamed, most, shown }: CpuBar): Bar {
  const cases = CLOSED.filter((one) => isStreamed === null || one.isStreamed === isStreamed)
  const ratios = cases
    .map(({ name }) => cpuRatio(figures, rival, name))
    .filter((ratio) => ratio !== null)
  const kind = isStreamed === null ? 'streamed and not' : isStreamed ? 'streamed' : 'not streamed'
  return {
    what: `CPU with everything on, of ${rival}'s, ${kind}`,
    bar: shown,
    measured: ratios.length > 0 ? ratios.map((ratio) => `${ratio.toFixed(2)} ×`).join(', ') : '–',
    isMet: ratios.length === cases.length ? Math.max(...ratios) <= most : null,
  }
}

function addedBar(figures: readonly Figures[]): Bar {
  const found = figures.find(
    (one) => one.contestant === 'Headrace' && one.loadCase === OPEN.name && one.failures === 0,
  )
  const direct = figures.find(
    (one) => one.contestant === DIRECT && one.loadCase === OPEN.name && one.failures === 0,
  )
  const added = found?.addedP99Ms ?? null
  // Where the machine was busy with something else, the difference of two delays says nothing, in anybody's favour.
  const isQuiet = direct !== undefined && direct.p99Ms < MOST_ADDED_P99_MS
  return {
    what: `p99 added at ${OPEN_RATE} requests a second`,
    bar: `< ${MOST_ADDED_P99_MS} ms`,
    measured: added === null ? '–' : `${added.toFixed(2)} ms${isQuiet ? '' : ', machine busy'}`,
    isMet: added === null || !isQuiet ? null : added < MOST_ADDED_P99_MS,
  }
}

function memoryBar(memory: MemoryFigures | null): Bar {
  const growth = memory && memory.toBytes / memory.fromBytes - 1
  const between = memory ? `${memory.from} and ${memory.to}` : '50000 and 200000'
  return {
    what: `memory between ${between} requests`,
    bar: `± ${MOST_GROWTH * 100} %`,
    measured: growth === null ? '–' : `${(growth * 100).toFixed(1)} %`,
    // A quick run ends before the heap has found its size.
    isMet:
      growth === null || memory?.to !== MEMORY_REQUESTS ? null : Math.abs(growth) <= MOST_GROWTH,
  }
}
