// What `headrace runtime doctor` finds, with a driver's tool in PATH and without.

import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'

import { examine } from '../../../runtime/doctor/doctor.ts'
import type { Findings } from '../../../runtime/doctor/doctor.ts'
import { readProcessor } from '../../../runtime/doctor/processor.ts'
import { PROCESSOR } from '../../../runtime/ort/device-choice.ts'
import { neededLibraries } from '../../../runtime/ort/shared-library.ts'
import { makeFolder } from '../../support/folder.ts'
import { makeNvidiaSmi } from '../../support/nvidia-smi.ts'

const ENTRY = fileURLToPath(new URL('../../../cli/main.ts', import.meta.url))

async function doctor(args: string[], env: NodeJS.ProcessEnv) {
  const { promise, resolve } = Promise.withResolvers<{ code: unknown; text: string }>()
  execFile(
    process.execPath,
    [ENTRY, 'runtime', 'doctor', ...args],
    { env },
    (error, stdout, stderr) => resolve({ code: error?.code ?? 0, text: stdout + stderr }),
  )
  return promise
}

test('the processor can be used on every machine, and its instructions are told', async () => {
  const { code, text } = await doctor([], { PATH: '/nowhere' })
  assert.equal(code, 0)
  assert.match(text, /^Processor +.*, \d+ threads; /m)
  assert.match(text, /^GPUs +none: There is no nvidia-smi in PATH/m)
  assert.match(text, /^ONNX Runtime +\d+\.\d+\.\d+, \/.*libonnxruntime/m)
  assert.match(text, /^cpu can be used\.$/m)
})

test('without a driver everything that cuda misses is told at once, each with what to do', async () => {
  const { code, text } = await doctor(['--json', '--device', 'cuda'], { PATH: '/nowhere' })
  assert.equal(code, 1)
  const { isUsable, problems, cudaLibraries, onnxRuntime } = JSON.parse(text) as Findings
  assert.equal(isUsable, false)
  assert.ok(onnxRuntime?.providers.includes('CPUExecutionProvider'))
  const missing = cudaLibraries.filter(({ path }) => path === null)
  assert.equal(problems.length, 1 + missing.length)
  for (const { name } of missing) {
    const problem = problems.find(({ what }) => what.startsWith(name))
    assert.ok(problem?.remedy, `${name} has no remedy`)
  }
})

test('GPUs are told as the driver tells of them, and one that is not there is no device', async (t) => {
  const env = { PATH: await makeNvidiaSmi(t), HEADRACE_DEVICE: 'cuda:7' }
  const { code, text } = await doctor([], env)
  assert.equal(code, 1)
  assert.match(
    text,
    /^cuda:0 +NVIDIA H200, 140\.4 GiB, 139\.7 GiB free; compute capability 9\.0; driver 570\.86\.15, CUDA up to 12\.8$/m,
  )
  assert.match(text, /^cuda:1 +NVIDIA L4, 22\.5 GiB, 1\.0 GiB free;/m)
  assert.match(text, /^cuda:7 can't be used:$/m)
  assert.match(text, /There is no cuda:7; the GPUs here are: cuda:0, cuda:1\./)
})

test('a library that is none, or not there, is told with its path', async (t) => {
  const file = join(await makeFolder(t), 'libonnxruntime.so.1')
  await writeFile(file, 'not a library')
  for (const library of [file, '/nowhere/libonnxruntime.so.1']) {
    const { onnxRuntime, isUsable, problems } = await examine(PROCESSOR, library)
    assert.deepEqual([onnxRuntime, isUsable], [null, false])
    assert.ok(problems[0]?.what.includes(`can't be loaded from ${library}`), problems[0]?.what)
  }
})

test('instructions of the processor are read from the kernel', async (t) => {
  const root = await makeFolder(t)
  await mkdir(join(root, 'proc'))
  const names = process.arch === 'arm64' ? 'fp asimddp i8mm' : 'sse avx2 avx512f amx_tile'
  const line = process.arch === 'arm64' ? `Features\t: ${names}` : `flags\t\t: ${names}`
  await writeFile(join(root, 'proc/cpuinfo'), `model name\t: Some Processor\n${line}\n`)
  const { model, flags, lacks } = readProcessor(root)
  assert.equal(model, 'Some Processor')
  const [had, lacked] =
    process.arch === 'arm64'
      ? [
          ['dot product', 'I8MM'],
          ['FP16', 'BF16'],
        ]
      : [
          ['AVX2', 'AVX-512'],
          ['VNNI', 'AMX'],
        ]
  assert.deepEqual([flags, lacks], [had, lacked])
})

test('what a library is linked to is read from its file', async (t) => {
  const libraries = await neededLibraries(process.execPath)
  assert.ok(libraries.some((name) => name.startsWith('libc.so')))
  const file = join(await makeFolder(t), 'text')
  await writeFile(file, 'text, and nothing else')
  await assert.rejects(neededLibraries(file), /is no 64-bit ELF file/)
})
