// What processes have used, from /proc (Linux).

import { readdir, readFile } from 'node:fs/promises'

/** of a clock tick, on every Linux that Node runs on */
const TICK_MS = 10

interface ProcessFigures {
  parent: number
  cpuMs: number
  residentBytes: number
}

const PAGE_BYTES = 4096

/** CPU and memory of processes and all their descendants. */
export async function usageOf(roots: number[]): Promise<{ cpuMs: number; residentBytes: number }> {
  const all = new Map<number, ProcessFigures>()
  for (const name of await readdir('/proc')) {
    if (!/^\d+$/.test(name)) continue
    const figures = await readProcess(name)
    if (figures) all.set(Number(name), figures)
  }
  const isOurs = (pid: number): boolean => {
    for (let at = pid; at > 1; at = all.get(at)?.parent ?? 0) if (roots.includes(at)) return true
    return false
  }
  const sum = { cpuMs: 0, residentBytes: 0 }
  for (const [pid, { cpuMs, residentBytes }] of all) {
    if (!isOurs(pid)) continue
    sum.cpuMs += cpuMs
    sum.residentBytes += residentBytes
  }
  return sum
}

/** proc(5): fields 4 (ppid), 14 to 17 (own time and that of children who ended), 24 (rss). */
async function readProcess(pid: string): Promise<ProcessFigures | null> {
  const stat = await readFile(`/proc/${pid}/stat`, 'utf8').catch(() => null)
  if (stat === null) return null
  // The name, in brackets, may hold spaces.
  const fields = stat
    .slice(stat.lastIndexOf(')') + 2)
    .split(' ')
    .map(Number)
  const at = (field: number) => fields[field - 3] ?? 0
  return {
    parent: at(4),
    cpuMs: (at(14) + at(15) + at(16) + at(17)) * TICK_MS,
    residentBytes: at(24) * PAGE_BYTES,
  }
}
