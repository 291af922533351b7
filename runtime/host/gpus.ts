// NVIDIA's GPUs of this machine, as the driver's own tool tells of them.
//
// A process of its own, so that the host needs no context on the GPU (some hundred megabytes) to know how full it is.
//
// Knows: nvidia-smi. Does not know: ONNX Runtime, engines.

import { execFile } from 'node:child_process'
import { promisify } from 'node:util'

export interface Gpu {
  /** the driver's number, by the place on the bus */
  index: number
  name: string
  driver: string
  totalBytes: number
  freeBytes: number
  /** as 9.0; null where the driver is too old to say */
  computeCapability: string | null
}

const run = promisify(execFile)
const QUERY = ['index', 'name', 'driver_version', 'memory.total', 'memory.free', 'compute_cap']
const TIMEOUT_MS = 10_000

/** @throws Error that says what the driver's tool said, or that there is none */
export async function listGpus(): Promise<Gpu[]> {
  const options = [`--query-gpu=${QUERY.join(',')}`, '--format=csv,noheader,nounits']
  const rows = (await nvidiaSmi(options)).trim().split('\n').filter(Boolean)
  return rows.map((row) => {
    const [index, name, driver, total, free, capability] = row.split(',').map((cell) => cell.trim())
    const bytes = (mebibytes: string | undefined) => Number(mebibytes) * 2 ** 20
    if (index === undefined || !(bytes(total) > 0) || !(bytes(free) >= 0)) {
      throw new Error(`nvidia-smi was asked for ${QUERY.join(', ')} and said: ${row}`)
    }
    return {
      index: Number(index),
      name: name ?? '',
      driver: driver ?? '',
      totalBytes: bytes(total),
      freeBytes: bytes(free),
      computeCapability: capability && /^\d+\.\d+$/.test(capability) ? capability : null,
    }
  })
}

/** @returns the newest CUDA that the driver serves, as 12.8; null where it doesn't say */
export async function driverCuda(): Promise<string | null> {
  return /CUDA Version: *([0-9.]+)/.exec(await nvidiaSmi([]))?.[1] ?? null
}

async function nvidiaSmi(options: string[]): Promise<string> {
  try {
    return (await run('nvidia-smi', options, { timeout: TIMEOUT_MS })).stdout
  } catch (error) {
    throw new Error(whatWentWrong(error), { cause: error })
  }
}

function whatWentWrong(error: unknown): string {
  const { code, stdout, stderr, message } = error as Record<string, string | undefined>
  if (code === 'ENOENT') {
    return 'There is no nvidia-smi in PATH, which comes with the driver of an NVIDIA GPU.'
  }
  // It complains on its standard output.
  const words = `${stdout ?? ''}${stderr ?? ''}`.trim().replaceAll(/\s+/g, ' ')
  return `nvidia-smi failed: ${words || message}`
}
