// Opens the runner that a version's graph wants.
//
// Adding a layout: a member of GRAPH_LAYOUTS in models/manifest.ts, a Runner, a line here.

import type { DecoderManifest } from '../../models/manifest.ts'
import type { Ort } from '../ort/api.ts'
import { ExportedRunner } from './exported-runner.ts'
import { OnnxRunner } from './onnx-runner.ts'
import type { RunnerOptions } from './onnx-runner.ts'
import type { Runner } from './runner.ts'

export function openRunner(
  ort: Ort,
  folder: string,
  manifest: DecoderManifest,
  options: RunnerOptions,
): Runner {
  switch (manifest.graph.layout ?? 'headrace') {
    case 'headrace':
      return new OnnxRunner(ort, folder, manifest, options)
    case 'gqa':
    case 'growing':
      return new ExportedRunner(ort, folder, manifest, options)
    case 'adapter':
      throw new Error('it is an adapter, which the engine of its base takes')
  }
}
