// From a checkpoint to the files that an engine loads: calibrates where the precision needs it, then draws the graph.
//
// fp32 and int4 are drawn as the checkpoint is. int8 activations are sensitive to a few large features, so for int8 a
// first graph with observers runs a text (calibration.txt) and the checkpoint is smoothed by what it saw. It costs a
// second pass over the weights and a temporary copy of the graph.

import { mkdtemp, readFile, rm } from 'node:fs/promises'
import path from 'node:path'

import { Tokenizer } from '@huggingface/tokenizers'

import type { Precision } from '../../models/manifest.ts'
import type { Checkpoint } from '../checkpoint/checkpoint.ts'
import { loadOrt } from '../ort/api.ts'
import { collectSamples } from './calibrate.ts'
import { drawDecoder } from './decoder.ts'
import type { DecoderFiles } from './decoder.ts'
import { smoothed } from './smoothing.ts'
import { writeFactors } from './smoothing-file.ts'

export interface WrittenDecoder extends DecoderFiles {
  parameters: number
}

export interface WriteOptions {
  precision: Precision
  /** threads of the calibration's forward passes */
  threads: number
  /** share of the work that is done, 0…1 */
  onProgress?: (fraction: number) => void
  signal?: AbortSignal
}

const CALIBRATION_FILE = new URL('calibration.txt', import.meta.url)

// Share of the time that drawing and running the observed graph take.
const CALIBRATION_SHARE = 0.5

/**
 * Writes the graph and its data into an existing folder.
 * @throws CheckpointError a tensor is missing or cut off
 * @throws OrtError the observed graph can't be run
 */
export async function writeDecoder(
  checkpoint: Checkpoint,
  folder: string,
  options: WriteOptions,
): Promise<WrittenDecoder> {
  const { precision, onProgress, signal } = options
  const parameters = countParameters(checkpoint)
  if (precision !== 'int8') {
    const files = await drawDecoder(checkpoint, folder, { precision, onProgress, signal })
    return { ...files, parameters }
  }
  const temporary = await mkdtemp(path.join(folder, 'calibration-'))
  try {
    await drawDecoder(checkpoint, temporary, {
      precision,
      observe: true,
      onProgress: (fraction) => onProgress?.(fraction * CALIBRATION_SHARE),
      signal,
    })
    const ids = await calibrationIds(checkpoint)
    const samples = collectSamples(
      loadOrt(),
      temporary,
      checkpoint.architecture,
      ids,
      options.threads,
    )
    signal?.throwIfAborted()
    const even = await smoothed(checkpoint, samples)
    await writeFactors(folder, even.factors)
    const files = await drawDecoder(even.checkpoint, folder, {
      precision,
      onProgress: (fraction) =>
        onProgress?.(CALIBRATION_SHARE + fraction * (1 - CALIBRATION_SHARE)),
      signal,
    })
    return { ...files, parameters }
  } finally {
    await rm(temporary, { recursive: true, force: true })
  }
}

function countParameters(checkpoint: Checkpoint): number {
  let count = 0
  for (const { shape } of checkpoint.tensors.values()) {
    count += shape.reduce((product, extent) => product * extent, 1)
  }
  return count
}

async function calibrationIds(checkpoint: Checkpoint): Promise<number[]> {
  const { json, config } = checkpoint.tokenizer
  const tokenizer = new Tokenizer(json, config)
  return tokenizer.encode(await readFile(CALIBRATION_FILE, 'utf8')).ids
}
