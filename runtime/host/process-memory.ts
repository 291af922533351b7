// What a process has in RAM: its own pages, and its share of those that it shares with others.
//
// Every engine has Node's and ONNX Runtime's code mapped, as the host has; counted whole for each of them, ten engines
// would seem to take a gigabyte that is there once.
//
// Knows: /proc. Does not know: whose process it is.

import { readFile } from 'node:fs/promises'

/** @returns bytes; null where the process is gone or the system has no /proc */
export async function processMemory(pid: number): Promise<number | null> {
  return (
    (await readKilobytes(`/proc/${pid}/smaps_rollup`, /^Pss: +(\d+) kB$/m)) ??
    // What another user runs may be looked at from further off.
    (await readKilobytes(`/proc/${pid}/status`, /^VmRSS:\s+(\d+) kB$/m))
  )
}

async function readKilobytes(path: string, pattern: RegExp): Promise<number | null> {
  try {
    const kilobytes = pattern.exec(await readFile(path, 'utf8'))?.[1]
    return kilobytes === undefined ? null : Number(kilobytes) * 1024
  } catch {
    return null
  }
}
