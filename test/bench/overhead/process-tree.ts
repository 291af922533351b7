// What a process and all that it started have used: CPU time and memory, as Linux counts them.
//
// PostgreSQL's processes are told apart: they are part of what a gateway costs that logs, and may be on another machine.

import { readdir, readFile } from 'node:fs/promises'

/** Linux has had no other for twenty years. */
const TICKS_PER_SECOND = 100
const IS_POSTGRES = /^postgres/

export interface Used {
  cpuMs: number
  postgresCpuMs: number
  /** what is resident, shared pages counted by their share */
  memoryBytes: number
  /** of that, what is no file's: code is shared with whoever else runs it, and its share is theirs to change */
  ownBytes: number
  postgresMemoryBytes: number
}

interface Process {
  pid: number
  parent: number
  name: string
  cpuMs: number
}

export function canMeasure(): boolean {
  return process.platform === 'linux'
}

/** @param root its children's children too, and those that ended */
export async function usedBy(root: number): Promise<Used> {
  const used: Used = {
    cpuMs: 0,
    postgresCpuMs: 0,
    memoryBytes: 0,
    ownBytes: 0,
    postgresMemoryBytes: 0,
  }
  for (const { pid, name, cpuMs } of treeOf(root, await allProcesses())) {
    const { bytes, ownBytes } = await memoryOf(pid)
    if (IS_POSTGRES.test(name)) {
      used.postgresCpuMs += cpuMs
      used.postgresMemoryBytes += bytes
    } else {
      used.cpuMs += cpuMs
      used.memoryBytes += bytes
      used.ownBytes += ownBytes
    }
  }
  return used
}

function treeOf(root: number, all: readonly Process[]): Process[] {
  const tree = all.filter(({ pid }) => pid === root)
  for (const known of tree) tree.push(...all.filter(({ parent }) => parent === known.pid))
  return tree
}

async function allProcesses(): Promise<Process[]> {
  const pids = (await readdir('/proc')).filter((name) => /^\d+$/.test(name))
  const stats = await Promise.all(
    pids.map((pid) => readFile(`/proc/${pid}/stat`, 'utf8').catch(() => '')),
  )
  return stats.filter((stat) => stat !== '').map(readStat)
}

/** proc(5). The name is in parentheses and may hold some itself. */
function readStat(stat: string): Process {
  const open = stat.indexOf('(')
  const close = stat.lastIndexOf(')')
  const fields = stat.slice(close + 2).split(' ')
  const number = (at: number) => Number(fields[at])
  // utime, stime, and both of children that ended
  const ticks = number(11) + number(12) + number(13) + number(14)
  return {
    pid: Number(stat.slice(0, open)),
    parent: number(1),
    name: stat.slice(open + 1, close),
    cpuMs: (ticks / TICKS_PER_SECOND) * 1000,
  }
}

async function memoryOf(pid: number): Promise<{ bytes: number; ownBytes: number }> {
  const rollup = await readFile(`/proc/${pid}/smaps_rollup`, 'utf8').catch(() => '')
  const kibibytes = (name: string) =>
    Number(new RegExp(`^${name}: +(\\d+)`, 'm').exec(rollup)?.[1] ?? 0)
  return { bytes: kibibytes('Pss') * 1024, ownBytes: kibibytes('Pss_Anon') * 1024 }
}
