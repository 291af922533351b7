// What is asked of an import, and how it fails.

import type { AdapterRecord, ManifestSource, Precision } from '../models/manifest.ts'

export interface ImportRequest {
  /** the checkpoint: a Hugging Face folder or a .gguf file; or a decoder that somebody exported, an .onnx file */
  path: string
  /** merged into the checkpoint: a PEFT folder, and what the checkpoint is then called in the manifest */
  adapter?: { path: string; base: AdapterRecord['base'] }
  /** an empty folder to make the version in */
  folder: string
  model: string
  precision: Precision
  /** of the adapter, where there is one */
  source: ManifestSource
  /** used where the checkpoint itself names none */
  licence: string | null
  /** threads of the passes that int8 is calibrated with */
  threads: number
  signal?: AbortSignal
  /** how much of the graph is written, 0…1 */
  onProgress?: (fraction: number) => void
}

/** A version that can't be made here. */
export class ImportError extends Error {
  override name = 'ImportError'
}
