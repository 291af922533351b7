// Checkpoints of a Hugging Face hub, or of a mirror that speaks its routes.
//
// A revision is resolved to its commit first, and everything is fetched at that commit, so that a branch that moves in
// between mixes nothing. What is complete lies in `<cache>/hub/<org>--<repo>/<commit>`; a download in progress, or one
// that was cut off and waits to be taken up, beside it under its owner's name.
//
// Knows: the hub. Does not know: what is in the files.

import { mkdir, rename, rm, stat } from 'node:fs/promises'
import { join } from 'node:path'

import { listFiles, modelInfo } from '@huggingface/hub'
import type { ListFileEntry } from '@huggingface/hub'

import type { HubSource } from '../sources.ts'
import { claimWorkFolder, createWorkFolder, namesIn } from '../work-folders.ts'
import { pickFiles } from './adapter-files.ts'
import { nameHere } from './checkpoint-files.ts'
import { ensureRoom } from './disk-space.ts'
import { downloadFile } from './download.ts'
import { SourceError } from './fetched.ts'
import type { FetchedSource, FetchOptions } from './fetched.ts'
import { openHttp } from './http.ts'
import type { Http } from './http.ts'
import { readCheckpoint } from './local.ts'

const COMMIT = /^[0-9a-f]{40}$/

/** @throws SourceError */
export async function fetchFromHub(
  source: HubSource,
  options: FetchOptions,
): Promise<FetchedSource> {
  const home = join(options.cacheDir, 'hub', source.repo.replaceAll('/', '--'))
  // A commit never changes: what is here needs no network.
  const cached = COMMIT.test(source.revision)
    ? join(home, folderName(source, source.revision, options))
    : null
  if (cached !== null && (await namesIn(cached)).length > 0) {
    return fetched(source, source.revision, cached, options)
  }
  const http = openHttp(options.settings, source.reference)
  try {
    options.onProgress?.({ phase: 'resolve', item: source.reference, bytes: 0, totalBytes: null })
    const commit = await resolveCommit(http, source, options)
    const folder = join(home, folderName(source, commit, options))
    if ((await namesIn(folder)).length === 0) {
      await download(http, source, commit, home, options)
    }
    return await fetched(source, commit, folder, options)
  } finally {
    await http.close()
  }
}

async function fetched(
  source: HubSource,
  commit: string,
  folder: string,
  options: FetchOptions,
): Promise<FetchedSource> {
  const { path, sha256 } = await readCheckpoint(folder, options)
  return { path, kind: 'hf', reference: source.reference, revision: commit, sha256, licence: null }
}

/** Different files of one commit are different checkpoints. */
function folderName(source: HubSource, commit: string, { content }: FetchOptions): string {
  const name = content === 'adapter' ? `${commit}-adapter` : commit
  return source.file === null ? name : `${name}-${source.file.replaceAll(/[^\w.-]/g, '-')}`
}

async function resolveCommit(
  http: Http,
  source: HubSource,
  { settings, signal }: FetchOptions,
): Promise<string> {
  const { sha } = await modelInfo({
    name: source.repo,
    revision: source.revision,
    additionalFields: ['sha'],
    hubUrl: settings.hubEndpoint,
    fetch: fetchThrough(http, signal),
  })
  if (COMMIT.test(sha)) return sha
  throw new SourceError(`${source.reference}: the hub named ${JSON.stringify(sha)} as its commit`)
}

async function download(
  http: Http,
  source: HubSource,
  commit: string,
  home: string,
  options: FetchOptions,
): Promise<void> {
  const entries = await listTree(http, source, commit, options)
  const { repo, reference } = source
  const picked = pickFiles(
    options.content,
    [...entries.keys()],
    source.file,
    reference,
    `hf:${repo}/<file>`,
  )
  const wanted = [...picked.files, ...picked.documents]
  const sizes = wanted.map((path) => entries.get(path)?.size ?? 0)
  const totalBytes = sizes.reduce((sum, size) => sum + size, 0)

  await mkdir(home, { recursive: true })
  const label = folderName(source, commit, options)
  const folder = (await claimWorkFolder(home, label)) ?? (await createWorkFolder(home, label))
  await ensureRoom(folder, totalBytes - (await bytesIn(folder)), reference)

  let done = 0
  for (const path of wanted) {
    const entry = entries.get(path)
    if (!entry) throw new Error(`${path} was picked but not listed. This is a bug.`)
    await downloadFile(http, wantedFile(source, commit, entry, folder, options), {
      settings: options.settings,
      signal: options.signal,
      onBytes: (bytes) =>
        options.onProgress?.({ phase: 'download', item: path, bytes: done + bytes, totalBytes }),
    })
    done += entry.size
  }
  await settle(folder, join(home, label))
}

async function listTree(
  http: Http,
  source: HubSource,
  commit: string,
  { settings, signal }: FetchOptions,
): Promise<Map<string, ListFileEntry>> {
  const entries = new Map<string, ListFileEntry>()
  const pages = listFiles({
    repo: { type: 'model', name: source.repo },
    revision: commit,
    recursive: true,
    hubUrl: settings.hubEndpoint,
    fetch: fetchThrough(http, signal),
  })
  for await (const entry of pages) {
    if (entry.type === 'file') entries.set(entry.path, entry)
  }
  return entries
}

function wantedFile(
  { repo, reference }: HubSource,
  commit: string,
  { path, size, lfs, oid }: ListFileEntry,
  folder: string,
  { settings }: FetchOptions,
) {
  const sum = lfs ? { kind: 'sha256' as const, hex: lfs.oid } : { kind: 'git' as const, hex: oid }
  if (sum.hex === undefined) throw new SourceError(`${reference}: the hub names no sum for ${path}`)
  const address = path.split('/').map(encodeURIComponent).join('/')
  return {
    url: `${settings.hubEndpoint}/${repo}/resolve/${commit}/${address}`,
    // A path of the repository never becomes a path here: all files lie in one folder.
    path: join(folder, nameHere(path)),
    bytes: size,
    sum: { kind: sum.kind, hex: sum.hex },
  }
}

/** Gives a finished download its name; where somebody else was first, theirs is as good. */
async function settle(folder: string, place: string): Promise<void> {
  try {
    await rename(folder, place)
  } catch (error) {
    if ((await namesIn(place)).length === 0) throw error
    await rm(folder, { recursive: true })
  }
}

async function bytesIn(folder: string): Promise<number> {
  const names = await namesIn(folder)
  const sizes = await Promise.all(names.map(async (name) => (await stat(join(folder, name))).size))
  return sizes.reduce((sum, size) => sum + size, 0)
}

/** The hub's own client, on our connections. */
function fetchThrough(http: Http, signal?: AbortSignal): typeof fetch {
  return async (input) => {
    const url = input instanceof Request ? input.url : String(input)
    const response = await http.get(url, { headers: { accept: 'application/json' }, signal })
    return new Response(await response.text(), {
      status: response.status,
      headers: Object.fromEntries(response.headers),
    })
  }
}
