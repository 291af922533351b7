// Whether the disk has room for a version that is to be drawn, before anything is.

import { statfs } from 'node:fs/promises'

import type { Precision } from '../models/manifest.ts'
import { ImportError } from './import-request.ts'

// Bytes on disk for each parameter while it is made, a little above what was measured; int8 is written twice, once to
// calibrate it.
const BYTES_PER_PARAMETER: Record<Precision, number> = {
  fp32: 4.1,
  int8: 2.7,
  int4: 0.9,
  fp16: 2.1,
  'int4-fp16': 1.2,
}
const LEFT_FREE_BYTES = 64 * 2 ** 20

/** @throws ImportError that says how much is needed and how much there is */
export async function ensureRoom(folder: string, parameters: number, precision: Precision) {
  const needed = parameters * BYTES_PER_PARAMETER[precision] + LEFT_FREE_BYTES
  const { bavail, bsize } = await statfs(folder)
  const free = bavail * bsize
  if (needed <= free) return
  throw new ImportError(
    `${(parameters / 1e6).toFixed(0)} million parameters at ${precision} need ${megabytes(needed)} MB at ${folder}, ` +
      `where ${megabytes(free)} MB are free`,
  )
}

const megabytes = (bytes: number) => Math.ceil(bytes / 1e6)
