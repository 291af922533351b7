// What `headrace models list, show, verify` and `remove` print.

import { verifyVersion } from '../models/checksums.ts'
import { ModelStore, splitReference } from '../models/store.ts'
import type { EncoderOutput } from '../models/encoder.ts'
import type { DecoderManifest, EncoderManifest, Manifest } from '../models/manifest.ts'
import type { StoredVersion } from '../models/store.ts'
import { runInterruptible } from './interruptible.ts'
import type { ModelsCommandDeps } from './models.ts'
import { createReporter } from './progress.ts'
import { ServerRefusal, serverOfFolder } from './server-api.ts'
import type { ServerApi } from './server-api.ts'

const COLUMNS = [
  'VERSION',
  'KIND',
  'PRECISION',
  'PARAMETERS',
  'CONTEXT',
  'SIZE',
  'IMPORTED',
  'SOURCE',
]

/** A store that says on stderr which versions it can't use. */
export function openStore({ dataDir, stderr }: ModelsCommandDeps): ModelStore {
  return new ModelStore(dataDir, {
    onBroken: ({ id, problem }) => stderr.write(`headrace: ${id} is passed over: ${problem}\n`),
  })
}

export function listCommand(options: { json?: boolean }, deps: ModelsCommandDeps): Promise<void> {
  const { stdout } = deps
  return run(deps, async (store) => {
    const names = await store.listModels()
    const versions = (await Promise.all(names.map((name) => store.listVersions(name)))).flat()
    // Names whose every version is broken are in no list; looking for them has them reported.
    await store.listBroken()
    if (options.json) {
      const list = versions.map(({ id, folder, manifest }) => ({ id, folder, manifest }))
      stdout.write(`${JSON.stringify(list, null, 2)}\n`)
    } else if (versions.length === 0) {
      stdout.write(
        'No models are here yet. Bring one: headrace models import smollm2-135m-instruct\n',
      )
    } else {
      stdout.write(table([COLUMNS, ...versions.map(row)]))
    }
  })
}

export function showCommand(
  reference: string,
  options: { json?: boolean },
  deps: ModelsCommandDeps,
): Promise<void> {
  return run(deps, async (store) => {
    const version = await store.get(reference)
    const text = options.json
      ? `${JSON.stringify(version.manifest, null, 2)}\n`
      : table(factsOf(version))
    deps.stdout.write(text)
  })
}

/** Exits with 1 where anything is not as its manifest says. */
export function verifyCommand(references: string[], deps: ModelsCommandDeps): Promise<void> {
  const { stdout, stderr, setExitCode } = deps
  return run(deps, async (store, signal) => {
    const versions = await chosen(references, store)
    const broken = references.length > 0 ? [] : await store.listBroken()
    if (broken.length > 0) setExitCode(1)
    for (const { id, folder } of versions) {
      const problems = await verifyVersion(folder, { signal })
      for (const problem of problems) stderr.write(`${id}: ${problem}\n`)
      if (problems.length > 0) setExitCode(1)
      else stdout.write(`${id} is as its manifest says\n`)
    }
  })
}

/** Where a server runs on the folder it is asked, as it knows what is live and loaded; else nothing answers from here. */
export function removeCommand(ids: string[], deps: ModelsCommandDeps): Promise<void> {
  return run(deps, async (store) => {
    const server = await serverOfFolder(deps.loadSettings())
    for (const id of ids) {
      const isDeleted = server !== null && (await deleteFromCatalog(server, id))
      if (!isDeleted) await store.remove(id)
      deps.stdout.write(`${id} is removed\n`)
    }
  })
}

/** @returns false: the catalog doesn't have it @throws ServerRefusal where it is in use */
async function deleteFromCatalog(server: ServerApi, id: string): Promise<boolean> {
  const { model, version } = splitReference(id)
  if (version === null) return false
  const path = `/admin/catalog/models/${encodeURIComponent(model)}/versions/${version}`
  try {
    await server.ask('DELETE', path)
    return true
  } catch (error) {
    if (error instanceof ServerRefusal && UNKNOWN.includes(error.code ?? '')) return false
    throw error
  }
}

/** … or not any more, with a folder that is left. */
const UNKNOWN = ['version_not_found', 'model_not_in_catalog', 'invalid_value']

function run(
  deps: ModelsCommandDeps,
  work: (store: ModelStore, signal: AbortSignal) => Promise<void>,
): Promise<void> {
  const reporter = createReporter('plain', deps)
  return runInterruptible(reporter, deps, (signal) => work(openStore(deps), signal))
}

function factsOf({ id, folder, manifest }: StoredVersion): string[][] {
  const { source, architecture } = manifest
  return [
    ['version', id],
    ['folder', folder],
    ['source', source.reference],
    ['revision', source.revision ?? '-'],
    ['sha256', source.sha256],
    ...adapterFacts(manifest),
    ['licence', manifest.licence ?? 'the source names none'],
    ['family', architecture.family],
    ['parameters', parameters(manifest.parameters)],
    ['precision', manifest.precision],
    ['context', `${manifest.contextLength} tokens`],
    ...(manifest.kind === 'generate' ? factsOfDecoder(manifest) : factsOfEncoder(manifest)),
    ['imported', manifest.created],
    ...Object.entries(manifest.files).map(([name, { bytes }]) => [name, size(bytes)]),
  ]
}

function factsOfDecoder({ architecture, tokenizer, chatTemplate, graph }: DecoderManifest) {
  return [
    ['kind', 'generate'],
    [
      'vocabulary',
      `${architecture.vocabSize} tokens; ${tokenizer.endTokenIds.join(', ')} end an answer`,
    ],
    ['chat template', chatTemplate === null ? 'none: completions only' : 'yes'],
    ['KV cache', graph.kvType],
  ]
}

function adapterFacts({ adapter }: Manifest): string[][] {
  if (!adapter) return []
  const { rank, alpha, modules, base } = adapter
  return [
    ['adapter', `rank ${rank}, alpha ${alpha}, of ${modules.join(', ')}; ${adapter.form}`],
    ['base', base.version ?? base.source.reference],
    ['base sha256', base.source.sha256],
  ]
}

function factsOfEncoder({ architecture, output, graph }: EncoderManifest): string[][] {
  return [
    ['kind', output.kind],
    ['vocabulary', `${architecture.vocabSize} tokens`],
    ['graph', graph.layout === 'packed' ? 'drawn here' : 'as it was exported'],
    ...factsOfOutput(output),
  ]
}

function factsOfOutput(output: EncoderOutput): string[][] {
  switch (output.kind) {
    case 'embed':
      return [
        ['pooling', output.pooling ?? "the graph's own"],
        ['vectors', `${output.dimensions} numbers${output.isNormalised ? ', of length 1' : ''}`],
      ]
    case 'rerank':
      return []
    case 'classify':
      return [['labels', `${output.labels.join(', ')}${output.isMultiLabel ? ' (any)' : ' (one)'}`]]
    case 'token-classify':
      return [['labels', output.labels.join(', ')]]
  }
}

/** A model's name stands for all of its versions here. */
async function chosen(references: string[], store: ModelStore): Promise<StoredVersion[]> {
  const names = references.length > 0 ? references : await store.listModels()
  const lists = names.map(async (name) => {
    if (name.includes('@')) return [await store.get(name)]
    const versions = await store.listVersions(name)
    return versions.length > 0 ? versions : [await store.get(name)]
  })
  return (await Promise.all(lists)).flat()
}

function row({ id, manifest }: StoredVersion): string[] {
  const bytes = Object.values(manifest.files).reduce((sum, file) => sum + file.bytes, 0)
  return [
    id,
    manifest.kind,
    manifest.precision,
    parameters(manifest.parameters),
    String(manifest.contextLength),
    size(bytes),
    manifest.created.slice(0, 16).replace('T', ' '),
    manifest.source.reference,
  ]
}

function table(rows: string[][]): string {
  const widths = rows[0]?.map((_, column) =>
    Math.max(...rows.map((cells) => (cells[column] ?? '').length)),
  )
  return rows
    .map((cells) =>
      cells
        .map((cell, column) => cell.padEnd(widths?.[column] ?? 0))
        .join('  ')
        .trimEnd(),
    )
    .map((line) => `${line}\n`)
    .join('')
}

const parameters = (count: number) => `${(count / 1e6).toFixed(count < 1e8 ? 1 : 0)} M`
const size = (bytes: number) => `${(bytes / 1e6).toFixed(1)} MB`
