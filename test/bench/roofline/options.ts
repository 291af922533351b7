// What `make bench-gpu ARGS="…"` can be told.

import { availableParallelism } from 'node:os'
import { parseArgs } from 'node:util'

import type { Architecture, Precision } from '../../../models/manifest.ts'
import { parseDevice } from '../../../runtime/ort/device-choice.ts'
import type { DeviceChoice } from '../../../runtime/ort/device-choice.ts'
import { readCount, readNames } from '../arguments.ts'

export interface GpuOptions {
  device: DeviceChoice
  library: string | null
  shape: keyof typeof SHAPES
  precision: Precision
  rows: number[]
  lengths: number[]
  steps: number
  threads: number
}

const COMMON = {
  family: 'llama',
  normEpsilon: 1e-5,
  ropeTheta: 10_000,
  ropeScaling: null,
  tiedEmbeddings: true,
  qkvBias: false,
  qkNorm: false,
  slidingWindow: null,
  contextLength: 8192,
} as const

export const SHAPES = {
  /** 5 million parameters: that the passes run at all */
  tiny: {
    ...COMMON,
    layers: 4,
    hiddenSize: 256,
    intermediateSize: 768,
    heads: 4,
    kvHeads: 2,
    headDim: 64,
    vocabSize: 4096,
  },
  /** SmolLM2-135M's */
  '135m': {
    ...COMMON,
    layers: 30,
    hiddenSize: 576,
    intermediateSize: 1536,
    heads: 9,
    kvHeads: 3,
    headDim: 64,
    vocabSize: 49_152,
  },
  /** Llama 3.2 1B's */
  '1b': {
    ...COMMON,
    layers: 16,
    hiddenSize: 2048,
    intermediateSize: 8192,
    heads: 32,
    kvHeads: 8,
    headDim: 64,
    vocabSize: 128_256,
  },
} as const satisfies Record<string, Architecture>

const SHAPE_NAMES = ['tiny', '135m', '1b'] as const
const PRECISIONS = ['fp32', 'fp16', 'int4-fp16'] as const

export const USAGE = `Usage: node test/bench/gpu.ts [options]        make bench-gpu ARGS="[options]"

  --device D       cpu, cuda, cuda:N or webgpu (default cuda)
  --library FILE   another build of ONNX Runtime (default: the npm package's)
  --shape S        ${SHAPE_NAMES.join(', ')} (default: 1b on cuda, 135m elsewhere)
  --precision P    ${PRECISIONS.join(', ')} (default: fp16 on cuda, fp32 elsewhere)
  --rows N,…       sequences of a decode step (default 1,8,32)
  --lengths N,…    tokens of a prompt, or before a decode step (default 128,1024)
  --steps N        passes that are timed, of each kind (default 30)
  --threads N      of the processor (default: one for each core)
  --help
`

/** @returns null where help was asked for @throws Error naming the option, what was given and what is allowed */
export function readOptions(args: string[]): GpuOptions | null {
  const string = { type: 'string' } as const
  const { values } = parseArgs({
    args,
    options: {
      device: { type: 'string', default: 'cuda' },
      library: string,
      shape: string,
      precision: string,
      rows: { type: 'string', default: '1,8,32' },
      lengths: { type: 'string', default: '128,1024' },
      steps: string,
      threads: string,
      help: { type: 'boolean', short: 'h', default: false },
    },
  })
  if (values.help) return null
  const device = parseDevice(values.device)
  if (!device) {
    throw new Error(`--device is '${values.device}'; allowed is cpu, cuda, cuda:N or webgpu.`)
  }
  const isCuda = device.kind === 'cuda'
  const [shape] = readNames('--shape', values.shape ?? (isCuda ? '1b' : '135m'), SHAPE_NAMES)
  const wanted = values.precision ?? (isCuda ? 'fp16' : 'fp32')
  const [precision] = readNames('--precision', wanted, PRECISIONS)
  if (!shape || !precision) throw new Error(`--shape and --precision are empty.\n\n${USAGE}`)
  return {
    device,
    library: values.library ?? null,
    shape,
    precision,
    rows: readCounts('--rows', values.rows, 1024),
    lengths: readCounts('--lengths', values.lengths, COMMON.contextLength / 2),
    steps: readCount('--steps', values.steps, 30),
    threads: readCount('--threads', values.threads, availableParallelism()),
  }
}

function readCounts(option: string, given: string, to: number): number[] {
  return given.split(',').map((part) => readCount(option, part.trim(), 1, { from: 1, to }))
}
