// Makes a version out of a decoder that somebody else exported: the graph as it is, the graph that picks candidates behind
// it, and the tokenizer.
//
// How it can be run is tried out, on a few tokens, before the version is there: as a batch over shared memory where its
// attention allows it, else one sequence after the other.
//
// Knows: what a version of this kind consists of. Does not know: where the export came from, where versions lie.

import { constants } from 'node:fs'
import { copyFile, stat, statfs } from 'node:fs/promises'
import { basename, join } from 'node:path'

import { MANIFEST_FORMAT } from '../models/manifest.ts'
import type { DecoderDraft, DecoderManifest, GraphLayout } from '../models/manifest.ts'
import { CheckpointError } from './checkpoint/checkpoint.ts'
import { openExported } from './checkpoint/exported.ts'
import { openRunner } from './engine/open-runner.ts'
import { probe, PROBE_SIZE } from './engine/probe.ts'
import { candidatesOf, writeCandidatesGraph } from './graph/candidates.ts'
import { ImportError } from './import-request.ts'
import type { ImportRequest } from './import-request.ts'
import { loadOrt } from './ort/api.ts'
import { writeTokenizer } from './version-files.ts'

/** @throws CheckpointError, OnnxFormatError, ImportError as importVersion does */
export async function importExported(request: ImportRequest): Promise<DecoderDraft> {
  const { folder, signal } = request
  const exported = await openExported(request.path)
  const { architecture, tokenizer, kvType, logitsType, files } = exported
  await ensureRoom(folder, files)
  for (const file of files) {
    signal?.throwIfAborted()
    await copyFile(file, join(folder, basename(file)), constants.COPYFILE_FICLONE)
  }
  await writeCandidatesGraph(folder, architecture.vocabSize, logitsType)
  const [graphFile, dataFile] = files.map((file) => basename(file)) as [string, string?]
  const draft: DecoderDraft = {
    format: MANIFEST_FORMAT,
    kind: 'generate',
    model: request.model,
    source: request.source,
    licence: exported.licence ?? request.licence,
    architecture,
    parameters: exported.parameters,
    precision: 'exported',
    contextLength: architecture.contextLength,
    tokenizer: await writeTokenizer(folder, tokenizer),
    chatTemplate: tokenizer.chatTemplate,
    sampling: tokenizer.sampling,
    graph: {
      file: graphFile,
      // A small graph has its weights within.
      dataFile: dataFile ?? graphFile,
      candidates: candidatesOf(architecture.vocabSize),
      kvType,
      logitsType,
    },
  }
  request.onProgress?.(0.5)
  const layout = chooseLayout(request, draft, exported.layouts)
  request.onProgress?.(1)
  return { ...draft, graph: { ...draft.graph, layout } }
}

function chooseLayout(
  { folder, path, threads }: ImportRequest,
  draft: DecoderDraft,
  layouts: GraphLayout[],
): GraphLayout {
  const problems: string[] = []
  for (const layout of layouts) {
    const graph = { ...draft.graph, layout }
    const manifest: DecoderManifest = { ...draft, graph, version: '1', created: '', files: {} }
    const problem = tryOut(folder, manifest, threads)
    if (problem === null) return layout
    problems.push(`${layout}: ${problem}`)
  }
  throw new CheckpointError(`${path} can't be served (${problems.join('; ')})`)
}

function tryOut(folder: string, manifest: DecoderManifest, threads: number): string | null {
  try {
    const runner = openRunner(loadOrt(), folder, manifest, { ...PROBE_SIZE, threads })
    try {
      return probe(runner)
    } finally {
      runner.close()
    }
  } catch (error) {
    return error instanceof Error ? error.message : String(error)
  }
}

async function ensureRoom(folder: string, files: string[]): Promise<void> {
  const sizes = await Promise.all(files.map(async (file) => (await stat(file)).size))
  const needed = sizes.reduce((sum, size) => sum + size, 0)
  const { bavail, bsize } = await statfs(folder)
  if (needed <= bavail * bsize) return
  const megabytes = (bytes: number) => Math.ceil(bytes / 1e6)
  throw new ImportError(
    `The export's ${megabytes(needed)} MB do not fit at ${folder}, where ${megabytes(bavail * bsize)} MB are free`,
  )
}
