// Makes a version out of an encoder: its graph drawn from a checkpoint, or an export by others as it is.
//
// Knows: encoders' checkpoints and graphs. Does not know: where the checkpoint came from, where versions lie.

import { constants } from 'node:fs'
import { copyFile } from 'node:fs/promises'
import { basename, join } from 'node:path'

import { MANIFEST_FORMAT } from '../models/manifest.ts'
import type { EncoderGraph } from '../models/encoder.ts'
import type { EncoderDraft, EncoderManifest } from '../models/manifest.ts'
import { CheckpointError } from './checkpoint/checkpoint.ts'
import type { EncoderCheckpoint } from './checkpoint/encoder-checkpoint.ts'
import type { EncoderExport, EncoderSource } from './checkpoint/open-encoder.ts'
import { openEncoderRunner } from './encoder/open-runner.ts'
import { drawEncoder } from './graph/encoder.ts'
import type { ImportRequest } from './import-request.ts'
import { ensureRoom } from './import-room.ts'
import { loadOrt } from './ort/api.ts'
import { writeEncoderTokenizer } from './version-files.ts'

export async function importEncoder(
  source: EncoderSource,
  request: ImportRequest,
): Promise<EncoderDraft> {
  if (source.kind === 'export') return importExport(source.export, request)
  const { checkpoint } = source
  const { folder, precision, signal, onProgress } = request
  try {
    signal?.throwIfAborted()
    if (precision !== 'fp32' && precision !== 'int8') {
      throw new CheckpointError(
        `${request.path} is an encoder; supported precisions are fp32 and int8, not ${precision}`,
      )
    }
    const parameters = countParameters(checkpoint)
    await ensureRoom(folder, parameters, precision)
    const graph = await drawEncoder(checkpoint, folder, { precision, signal, onProgress })
    return await draftOf(checkpoint, request, { graph, parameters, precision })
  } finally {
    await checkpoint.close()
  }
}

/** Copies the graph, and runs it once to see that it does. */
async function importExport(
  { files, graphOutput, parameters, ...exported }: EncoderExport,
  request: ImportRequest,
): Promise<EncoderDraft> {
  const { folder, signal, threads } = request
  const names = files.map((file) => basename(file))
  for (const [index, file] of files.entries()) {
    signal?.throwIfAborted()
    await copyFile(file, join(folder, names[index] ?? ''), constants.COPYFILE_FICLONE)
  }
  const [file = '', dataFile = null] = names
  const draft = await draftOf(exported, request, {
    graph: { file, dataFile, layout: 'padded', output: graphOutput },
    parameters,
    precision: 'exported',
  })
  tryOut(folder, draft, threads)
  return draft
}

/** @throws CheckpointError where the graph does not run, or gives something of another size or type */
function tryOut(folder: string, draft: EncoderDraft, threads: number): void {
  try {
    const manifest: EncoderManifest = { ...draft, version: '1', created: '', files: {} }
    const runner = openEncoderRunner(loadOrt(), folder, manifest, { threads, maxCells: 8 })
    try {
      runner.run([
        { ids: [0, 0, 0], segments: null },
        { ids: [0], segments: null },
      ])
    } finally {
      runner.close()
    }
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause)
    throw new CheckpointError(`${draft.graph.file} can't be served: ${reason}`, { cause })
  }
}

interface Made {
  graph: EncoderGraph
  parameters: number
  precision: EncoderDraft['precision']
}

async function draftOf(
  checkpoint: Omit<EncoderExport, 'files' | 'graphOutput' | 'parameters'>,
  request: ImportRequest,
  made: Made,
): Promise<EncoderDraft> {
  const { tokenizer, output, architecture, contextLength } = checkpoint
  return {
    ...made,
    format: MANIFEST_FORMAT,
    kind: output.kind,
    model: request.model,
    source: request.source,
    licence: checkpoint.licence ?? request.licence,
    architecture,
    contextLength,
    tokenizer: await writeEncoderTokenizer(request.folder, tokenizer),
    output,
  }
}

function countParameters({ tensors }: EncoderCheckpoint): number {
  let count = 0
  for (const { shape } of tensors.values()) {
    count += shape.reduce((product, extent) => product * extent, 1)
  }
  return count
}
