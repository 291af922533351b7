// `make bench-gpu`: how near decode and prefill come to what the device could do at all.
//
// A decode step reads every weight and every key and value once, whatever it computes: it can't be faster than those bytes
// over the bandwidth of the memory. A prompt is products of matrices: it can't be faster than its operations over what the
// device computes in a second. Both are measured on the device, by the same library, in the same run.
//
// Weights are random: what they are makes no difference to how fast they are multiplied. Where the device can't be used it
// says why, as the doctor does, and that is no failure.

import { rm } from 'node:fs/promises'
import { join } from 'node:path'

import { describeFindings } from '../../cli/doctor.ts'
import { readManifest } from '../../models/manifest.ts'
import { examine } from '../../runtime/doctor/doctor.ts'
import { openRunner } from '../../runtime/engine/open-runner.ts'
import type { Runner } from '../../runtime/engine/runner.ts'
import { loadOrt } from '../../runtime/ort/api.ts'
import { openDevice } from '../../runtime/ort/device.ts'
import type { ComputeDevice } from '../../runtime/ort/device.ts'
import { addRandomVersion } from '../support/random-version.ts'
import { CACHE_DIR } from './folders.ts'
import { readOptions, SHAPES, USAGE } from './roofline/options.ts'
import type { GpuOptions } from './roofline/options.ts'
import { measurePeaks } from './roofline/peaks.ts'
import type { Peaks } from './roofline/peaks.ts'
import { bytesOfDecode, operationsOfPrefill } from './roofline/work.ts'
import { print, runBench } from './run.ts'
import { median } from './statistics.ts'
import { figure, table } from './table.ts'
import type { DecoderManifest } from '../../models/manifest.ts'
import type { Progress } from './progress.ts'

const HEAD = ['pass', 'rows', 'tokens before', 'ms', 'tokens/s', 'floor ms', '% of the roofline']

await runBench({ name: 'bench-gpu', usage: USAGE, readOptions, run: bench })

async function bench(options: GpuOptions, progress: Progress, signal: AbortSignal): Promise<void> {
  const { device: choice, library, shape, precision, threads } = options
  const findings = await examine(choice, library)
  print(`# Headrace bench of ${findings.device}, ${new Date().toISOString()}\n`)
  print(`\`\`\`\n${describeFindings(findings)}\`\`\`\n`)
  if (!findings.isUsable) {
    print(`Nothing is measured. \`--device cpu\` measures the processor with the same passes.`)
    return
  }
  const ort = loadOrt(library ?? undefined)
  const device = openDevice(ort, choice)
  const floats = precision === 'fp32' ? 'f32' : 'f16'

  progress('peaks of the device')
  const peaks = await measurePeaks({ ort, device, floats, threads, signal })
  const [bandwidth, computed] = [peaks.bytesPerSecond / 1e9, peaks.operationsPerSecond / 1e9]
  print(`- Memory: ${figure(bandwidth)} GB/s, of one row times a matrix that no cache holds.`)
  print(`- Products: ${figure(computed)} GFLOP/s, of square matrices at ${floats}.`)

  progress(`a version of shape ${shape} at ${precision}`)
  const folder = join(CACHE_DIR, 'gpu')
  await rm(folder, { recursive: true, force: true })
  const architecture = SHAPES[shape]
  await addRandomVersion(folder, { name: shape, architecture, precision })
  const version = join(folder, 'models', shape, '1')
  const manifest = await readManifest(version)
  if (manifest.kind !== 'generate') throw new Error(`${version} continues no texts. This is a bug.`)
  print(
    `- Model: ${shape}, ${figure(manifest.parameters / 1e6)} million parameters, ${precision}.\n`,
  )

  progress('loading')
  const { rows, lengths } = options
  const capacity = Math.max(...lengths) + options.steps + 1
  const maxPrefill = Math.max(...lengths)
  const slots = Math.min(Math.max(...rows), device.mostSlots ?? Infinity)
  const size = { slots, capacity, maxPrefill, threads, device }
  const runner = openRunner(ort, version, manifest, size)
  const found = { manifest, peaks, options, runner, device, progress, signal }
  const decoded = await measureDecode(found)
  const prefilled = await measurePrefill(found)
  print(table(HEAD, [...decoded, ...prefilled]))
  runner.close()
  await rm(folder, { recursive: true, force: true })
}

interface Bench {
  manifest: DecoderManifest
  peaks: Peaks
  options: GpuOptions
  runner: Runner
  device: ComputeDevice
  progress: Progress
  signal: AbortSignal
}

async function measureDecode(bench: Bench): Promise<string[][]> {
  const { manifest, peaks, options, runner, progress } = bench
  const lines: string[][] = []
  for (const rows of options.rows.filter((count) => count <= runner.slots)) {
    for (const length of options.lengths) {
      progress(`decode: ${rows} rows behind ${length} tokens`)
      // What lies in the cache makes no difference, and it is all numbers from the start.
      const tokens = Array.from({ length: rows }, (_, row) => row + 1)
      const lengths = tokens.map(() => length)
      const ms = await timed(bench, () => runner.decode(tokens, lengths, 'candidates'))
      const floorMs = (1e3 * bytesOfDecode(manifest, rows, length)) / peaks.bytesPerSecond
      lines.push(line('decode', { rows, before: length, tokens: rows, ms, floorMs }))
    }
  }
  return lines
}

async function measurePrefill(bench: Bench): Promise<string[][]> {
  const { manifest, peaks, options, runner, progress } = bench
  const lines: string[][] = []
  for (const length of options.lengths) {
    progress(`prefill: ${length} tokens`)
    const tokens = Array.from({ length }, (_, at) => 1 + (at % 90))
    const ms = await timed(bench, () => runner.prefill(0, tokens, 0, 'candidates'))
    const operations = operationsOfPrefill(manifest, length)
    const floorMs = (1e3 * operations) / peaks.operationsPerSecond
    lines.push(line('prefill', { rows: length, before: 0, tokens: length, ms, floorMs }))
  }
  return lines
}

/** @returns milliseconds of one pass: the median, after those that prepare kernels */
async function timed({ options, signal }: Bench, pass: () => void): Promise<number> {
  for (let i = 0; i < 3; i++) pass()
  const times: number[] = []
  for (let i = 0; i < options.steps; i++) {
    const startMs = performance.now()
    pass()
    times.push(performance.now() - startMs)
    // An interruption arrives between two passes, or not at all.
    await new Promise(setImmediate)
    signal.throwIfAborted()
  }
  return median(times)
}

interface Measured {
  rows: number
  before: number
  tokens: number
  ms: number
  floorMs: number
}

function line(pass: string, { rows, before, tokens, ms, floorMs }: Measured): string[] {
  const numbers = [ms, (1e3 * tokens) / ms, floorMs, (100 * floorMs) / ms]
  return [pass, String(rows), String(before), ...numbers.map(figure)]
}
