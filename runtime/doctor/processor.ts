// The processor as a forward pass sees it: which of its instructions kernels are chosen by, and how much of it is ours.
//
// Knows: /proc/cpuinfo. Does not know: ONNX Runtime.

import { readFileSync } from 'node:fs'
import { availableParallelism, cpus } from 'node:os'
import { join } from 'node:path'

export interface Processor {
  model: string
  /** instructions that kernels are chosen by, of those that it has */
  flags: string[]
  /** of those that kernels are chosen by, what it lacks */
  lacks: string[]
  /** threads that this process may run at once */
  threads: number
}

// [what it is called, names in /proc/cpuinfo: any of them; of x86 and of Arm]
const X86: [string, string[]][] = [
  ['AVX2', ['avx2']],
  ['AVX-512', ['avx512f']],
  ['VNNI', ['avx512_vnni', 'avx_vnni']],
  ['AMX', ['amx_int8', 'amx_bf16']],
]
const ARM: [string, string[]][] = [
  ['dot product', ['asimddp']],
  ['FP16', ['asimdhp']],
  ['I8MM', ['i8mm']],
  ['BF16', ['bf16']],
]

/** @param root where /proc is */
export function readProcessor(root = '/'): Processor {
  let info = ''
  try {
    info = readFileSync(join(root, 'proc/cpuinfo'), 'utf8')
  } catch {
    // Other systems have no such file, and Node knows the name.
  }
  const given = /^(?:flags|Features)\s*: (.*)$/m.exec(info)?.[1]?.split(' ') ?? []
  const wanted = process.arch === 'arm64' ? ARM : X86
  const has = ([, names]: [string, string[]]) => names.some((name) => given.includes(name))
  const named = (all: [string, string[]][]) => all.map(([name]) => name)
  return {
    model: /^model name\s*: (.*)$/m.exec(info)?.[1] ?? cpus()[0]?.model ?? process.arch,
    flags: named(wanted.filter(has)),
    lacks: named(wanted.filter((each) => !has(each))),
    threads: availableParallelism(),
  }
}
