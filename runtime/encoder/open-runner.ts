// The runner of a version: our own graph's, or that of an export by others.

import type { EncoderOutput } from '../../models/encoder.ts'
import type { EncoderManifest } from '../../models/manifest.ts'
import type { Ort } from '../ort/api.ts'
import { PackedRunner } from './packed-runner.ts'
import { PaddedRunner } from './padded-runner.ts'
import type { Runner } from './runner.ts'

export interface RunnerOptions {
  threads: number
  /** most places of a batch: its texts times the longest of them */
  maxCells: number
  /** numbers of a row of the output */
  width: number
  isByToken: boolean
}

/** @throws OrtError the graph can't be read or run; Error where it asks for what isn't known */
export function openEncoderRunner(
  ort: Ort,
  folder: string,
  manifest: EncoderManifest,
  limits: Pick<RunnerOptions, 'threads' | 'maxCells'>,
): Runner {
  const { output, graph } = manifest
  const options = { ...limits, ...rowsOf(output) }
  return graph.layout === 'packed'
    ? new PackedRunner(ort, folder, manifest, options)
    : new PaddedRunner(ort, folder, manifest, options)
}

function rowsOf(output: EncoderOutput): Pick<RunnerOptions, 'width' | 'isByToken'> {
  switch (output.kind) {
    case 'embed':
      return { width: output.dimensions, isByToken: output.pooling !== null }
    case 'rerank':
      return { width: 1, isByToken: false }
    case 'classify':
      return { width: output.labels.length, isByToken: false }
    case 'token-classify':
      return { width: output.labels.length, isByToken: true }
  }
}
