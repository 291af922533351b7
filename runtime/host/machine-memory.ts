// How much memory this machine has, and has left, for whoever runs here.
//
// A container has what its control group allows (cgroup v2, with those above it), not what the machine has. Page cache
// counts as free, since the kernel gives it up when it is asked to.
//
// Knows: /proc and /sys, which other systems than Linux don't have. Does not know: engines.

import { readFileSync } from 'node:fs'
import { freemem, totalmem } from 'node:os'
import { join } from 'node:path'

export interface MachineMemory {
  totalBytes: number
  freeBytes: number
}

const CGROUPS = 'sys/fs/cgroup'

/** @param root where /proc and /sys are */
export function readMachineMemory(root = '/'): MachineMemory {
  const meminfo = read(join(root, 'proc/meminfo'))
  const kilobytes = (name: string) =>
    Number(new RegExp(`^${name}: +(\\d+) kB$`, 'm').exec(meminfo)?.[1])
  let totalBytes = kilobytes('MemTotal') * 1024 || totalmem()
  let freeBytes = kilobytes('MemAvailable') * 1024 || freemem()
  for (const folder of cgroupFolders(root)) {
    const limit = Number(read(join(folder, 'memory.max')))
    // "max", or no such file: nothing is limited here.
    if (!(limit > 0)) continue
    const used = Number(read(join(folder, 'memory.current')))
    const cache = Number(/^inactive_file (\d+)$/m.exec(read(join(folder, 'memory.stat')))?.[1] ?? 0)
    totalBytes = Math.min(totalBytes, limit)
    freeBytes = Math.min(freeBytes, Math.max(0, limit - used + cache))
  }
  return { totalBytes, freeBytes }
}

/** This process's control group and those that it is in. */
function cgroupFolders(root: string): string[] {
  const path = /^0::\/(.*)$/m.exec(read(join(root, 'proc/self/cgroup')))?.[1]
  if (path === undefined) return []
  const names = path.split('/').filter(Boolean)
  return [...names.keys(), names.length].map((depth) =>
    join(root, CGROUPS, ...names.slice(0, depth)),
  )
}

function read(path: string): string {
  try {
    return readFileSync(path, 'utf8').trim()
  } catch {
    return ''
  }
}
