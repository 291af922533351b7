// Makes a version out of a checkpoint: the graph, its data and the tokenizer's files, in a folder that the caller gives.
//
// The folder is the caller's to number, hash and publish, or to throw away; nothing is written anywhere else.
//
// Knows: checkpoints and graphs. Does not know: where the checkpoint came from, where versions lie.

import { MANIFEST_FORMAT } from '../models/manifest.ts'
import type { AdapterRecord, DecoderDraft, ManifestDraft } from '../models/manifest.ts'
import { openAdapter } from './checkpoint/adapter.ts'
import type { Checkpoint } from './checkpoint/checkpoint.ts'
import { mergeAdapter } from './checkpoint/merged.ts'
import { openCheckpoint } from './checkpoint/open.ts'
import { openEncoder } from './checkpoint/open-encoder.ts'
import { writeDecoder } from './graph/export.ts'
import { importEncoder } from './import-encoder.ts'
import { ensureRoom } from './import-room.ts'
import { ImportError } from './import-request.ts'
import type { ImportRequest } from './import-request.ts'
import { importExported } from './import-exported.ts'
import { writeTokenizer } from './version-files.ts'

/**
 * @returns what the manifest says of the version
 * @throws CheckpointError where the checkpoint can't be read or is of a family that can't be served; ImportError where the
 *   disk has no room
 */
export async function importVersion(request: ImportRequest): Promise<ManifestDraft> {
  const encoder = await openEncoder(request.path)
  if (encoder && request.adapter) {
    throw new ImportError(
      `${request.path} is an encoder; adapters are merged into models that generate`,
    )
  }
  if (encoder) return importEncoder(encoder, request)
  if (request.path.endsWith('.onnx')) {
    if (!request.adapter) return importExported(request)
    throw new ImportError(
      `${request.path} is a finished graph, and no adapter can be merged into one; name the checkpoint that it was made of`,
    )
  }
  return importDecoder(request)
}

async function importDecoder(request: ImportRequest): Promise<DecoderDraft> {
  const { folder, precision, threads, signal, onProgress } = request
  const { checkpoint, adapter } = await openMerged(request)
  try {
    signal?.throwIfAborted()
    await ensureRoom(folder, parametersOf(checkpoint), precision)
    const graph = await writeDecoder(checkpoint, folder, {
      precision,
      threads,
      signal,
      onProgress,
    })
    const { architecture, tokenizer } = checkpoint
    return {
      format: MANIFEST_FORMAT,
      kind: 'generate',
      model: request.model,
      source: request.source,
      licence: checkpoint.licence ?? request.licence,
      architecture,
      parameters: graph.parameters,
      precision,
      contextLength: architecture.contextLength,
      tokenizer: await writeTokenizer(folder, tokenizer),
      chatTemplate: tokenizer.chatTemplate,
      sampling: tokenizer.sampling,
      ...(adapter && { adapter }),
      graph: {
        file: graph.file,
        dataFile: graph.dataFile,
        ...(graph.adaptersFile !== undefined && { adaptersFile: graph.adaptersFile }),
        candidates: graph.candidates,
        kvType: graph.kvType,
      },
    }
  } finally {
    await checkpoint.close()
  }
}

/** The checkpoint, with the adapter in it where the request names one. */
async function openMerged({
  path,
  adapter,
}: ImportRequest): Promise<{ checkpoint: Checkpoint; adapter?: AdapterRecord }> {
  const checkpoint = await openCheckpoint(path)
  if (!adapter) return { checkpoint }
  try {
    const opened = await openAdapter(adapter.path, checkpoint)
    const { modules, config } = opened
    const { rank, alpha } = config
    return {
      checkpoint: mergeAdapter(checkpoint, opened),
      adapter: { form: 'merged', rank, alpha, modules, base: adapter.base },
    }
  } catch (error) {
    await checkpoint.close()
    throw error
  }
}

function parametersOf({ tensors }: Checkpoint): number {
  return [...tensors.values()]
    .map(({ shape }) => shape.reduce((product, size) => product * size, 1))
    .reduce((sum, count) => sum + count, 0)
}
