// Makes a version out of a LoRA adapter that is not merged: one that its base's engine takes beside others, row by row.
//
// What the base's import did to its weights is done to the adapter's, so it belongs to that version of the base and no
// other. Text goes through the base's tokenizer and chat template.
//
// Knows: what a version of this kind consists of. Does not know: where adapter and base came from, where versions lie.

import { copyFile } from 'node:fs/promises'
import { join } from 'node:path'

import { MANIFEST_FORMAT } from '../models/manifest.ts'
import type { DecoderDraft, Manifest, ManifestSource } from '../models/manifest.ts'
import { openAdapter } from './checkpoint/adapter.ts'
import { requiredTensors } from './checkpoint/required-tensors.ts'
import { packAdapter } from './graph/packed-adapter.ts'
import { PACKED_ADAPTER_FILE, writePackedAdapter } from './graph/packed-adapter-file.ts'
import { readFactors, SMOOTHING_FILE } from './graph/smoothing-file.ts'
import { ImportError } from './import-request.ts'

export interface AdapterImport {
  /** the PEFT folder */
  path: string
  /** an empty folder to make the version in */
  folder: string
  model: string
  source: ManifestSource
  /** used where the adapter itself names none, before the base's */
  licence: string | null
  base: { id: string; folder: string; manifest: Manifest }
}

/**
 * @returns what the manifest says of the version
 * @throws CheckpointError where the adapter can't be read or does not fit; ImportError where the base can't take any
 */
export async function importAdapter(request: AdapterImport): Promise<DecoderDraft> {
  const { folder, base } = request
  const { manifest } = base
  if (manifest.kind !== 'generate') {
    throw new ImportError(
      `${base.id} is of the kind '${manifest.kind}'; adapters are for models that generate`,
    )
  }
  const { architecture, graph, files, tokenizer } = manifest
  if (graph.adaptersFile === undefined) {
    const layout = graph.layout ?? 'headrace'
    const remedy =
      layout === 'headrace' ? 'it is older than adapters are: import it again' : 'import it merged'
    throw new ImportError(`${base.id} can't take adapters beside it (${layout}); ${remedy}`)
  }
  const tensors = new Map(requiredTensors(architecture).map((tensor) => [tensor.name, tensor]))
  const adapter = await openAdapter(request.path, { tensors, architecture })
  try {
    const isSmoothed = Object.hasOwn(files, SMOOTHING_FILE)
    const factors = isSmoothed ? await readFactors(base.folder, architecture.layers) : null
    const packed = await packAdapter(adapter, architecture, factors)
    await writePackedAdapter(folder, packed)
    for (const name of [tokenizer.file, tokenizer.configFile]) {
      await copyFile(join(base.folder, name), join(folder, name))
    }
    const { rank, alpha } = adapter.config
    const { version: _version, created: _created, files: _files, ...said } = manifest
    return {
      ...said,
      format: MANIFEST_FORMAT,
      model: request.model,
      source: request.source,
      licence: adapter.licence ?? request.licence ?? manifest.licence,
      parameters: adapter.parameters,
      adapter: {
        form: 'resident',
        rank,
        alpha,
        modules: adapter.modules,
        base: { version: base.id, source: manifest.source },
      },
      graph: {
        file: PACKED_ADAPTER_FILE,
        dataFile: PACKED_ADAPTER_FILE,
        candidates: graph.candidates,
        kvType: graph.kvType,
        layout: 'adapter',
      },
    }
  } finally {
    await adapter.close()
  }
}
