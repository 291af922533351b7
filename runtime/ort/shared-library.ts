// Whether shared libraries can be loaded, and which others a file wants: what the loader of the system would find out.
//
// A library that is asked for by name alone is looked for where the loader looks: LD_LIBRARY_PATH, its cache, the system's
// folders. It stays loaded.
//
// Knows: ELF's dynamic section, the loader. Does not know: what libraries are for.

import { readFileSync } from 'node:fs'
import { open } from 'node:fs/promises'
import type { FileHandle } from 'node:fs/promises'

import koffi from 'koffi'

const KOFFI_WORDS = /^Failed to load shared library: /

/** @returns null where it is loaded; what the loader said otherwise */
export function tryLoad(name: string): string | null {
  try {
    koffi.load(name)
    return null
  } catch (error) {
    return (error instanceof Error ? error.message : String(error)).replace(KOFFI_WORDS, '')
  }
}

export function firstThatLoads(names: readonly string[]): string | undefined {
  return names.find((name) => tryLoad(name) === null)
}

/** Where a library that is loaded lies; null where this process has none of the name. */
export function whereLoaded(name: string): string | null {
  let maps: string
  try {
    maps = readFileSync('/proc/self/maps', 'utf8')
  } catch {
    return null
  }
  for (const line of maps.split('\n')) {
    const path = line.slice(line.indexOf('/'))
    if (line.includes('/') && path.slice(path.lastIndexOf('/') + 1).startsWith(name)) return path
  }
  return null
}

const SECTION_DYNAMIC = 6
const TAG_NEEDED = 1n

/**
 * The libraries that a 64-bit little-endian ELF file is linked to, as it names them (DT_NEEDED).
 * @throws Error where it is no such file
 */
export async function neededLibraries(file: string): Promise<string[]> {
  await using handle = await open(file)
  const header = await read(handle, 0, 64)
  if (header.toString('latin1', 0, 6) !== '\x7fELF\x02\x01') {
    throw new Error(`${file} is no 64-bit ELF file`)
  }
  const [sections, size, count] = [
    Number(header.readBigUInt64LE(40)),
    header.readUInt16LE(58),
    header.readUInt16LE(60),
  ]
  const table = await read(handle, sections, size * count)
  const section = (index: number) => ({
    type: table.readUInt32LE(index * size + 4),
    offset: Number(table.readBigUInt64LE(index * size + 24)),
    bytes: Number(table.readBigUInt64LE(index * size + 32)),
    names: table.readUInt32LE(index * size + 40),
  })
  const all = Array.from({ length: count }, (_, index) => section(index))
  const dynamic = all.find(({ type }) => type === SECTION_DYNAMIC)
  const strings = dynamic && all[dynamic.names]
  if (!dynamic || !strings) return []
  const entries = await read(handle, dynamic.offset, dynamic.bytes)
  const names = await read(handle, strings.offset, strings.bytes)
  const needed: string[] = []
  for (let at = 0; at + 16 <= entries.length; at += 16) {
    if (entries.readBigInt64LE(at) !== TAG_NEEDED) continue
    const start = Number(entries.readBigUInt64LE(at + 8))
    needed.push(names.toString('latin1', start, names.indexOf(0, start)))
  }
  return needed
}

async function read(handle: FileHandle, position: number, bytes: number): Promise<Buffer> {
  const buffer = Buffer.alloc(bytes)
  await handle.read(buffer, 0, bytes, position)
  return buffer
}
