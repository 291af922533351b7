// Writes zip archives, also such as no honest tool would write.

import { crc32, deflateRawSync } from 'node:zlib'

export interface ZipEntry {
  name: string
  content: string | Buffer
  /** Unix mode; a symbolic link is 0o120777 */
  mode?: number
  /** what the archive says instead of the content's size */
  claimedBytes?: number
}

const LOCAL_SIGNATURE = 0x04034b50
const CENTRAL_SIGNATURE = 0x02014b50
const END_SIGNATURE = 0x06054b50
const DEFLATED = 8
const MADE_ON_UNIX = 0x0314
const UTF8_NAMES = 0x0800

/** @returns the bytes of an archive with the entries in the given order */
export function zipOf(entries: ZipEntry[]): Buffer {
  const bodies: Buffer[] = []
  const directory: Buffer[] = []
  let offset = 0
  for (const entry of entries) {
    const content = Buffer.from(entry.content)
    const packed = deflateRawSync(content)
    const name = Buffer.from(entry.name)
    // The fields that a local header and a directory entry share.
    const shared = Buffer.alloc(26)
    shared.writeUInt16LE(20, 0)
    shared.writeUInt16LE(UTF8_NAMES, 2)
    shared.writeUInt16LE(DEFLATED, 4)
    shared.writeUInt32LE(crc32(content), 10)
    shared.writeUInt32LE(packed.length, 14)
    shared.writeUInt32LE(entry.claimedBytes ?? content.length, 18)
    shared.writeUInt16LE(name.length, 22)
    const local = Buffer.alloc(4)
    local.writeUInt32LE(LOCAL_SIGNATURE)
    const central = Buffer.alloc(6)
    central.writeUInt32LE(CENTRAL_SIGNATURE)
    central.writeUInt16LE(MADE_ON_UNIX, 4)
    const rest = Buffer.alloc(14)
    rest.writeUInt32LE(((entry.mode ?? 0o100644) << 16) >>> 0, 6)
    rest.writeUInt32LE(offset, 10)
    bodies.push(local, shared, name, packed)
    directory.push(central, shared, rest, name)
    offset += local.length + shared.length + name.length + packed.length
  }
  const listing = Buffer.concat(directory)
  const end = Buffer.alloc(22)
  end.writeUInt32LE(END_SIGNATURE)
  end.writeUInt16LE(entries.length, 8)
  end.writeUInt16LE(entries.length, 10)
  end.writeUInt32LE(listing.length, 12)
  end.writeUInt32LE(offset, 16)
  return Buffer.concat([...bodies, listing, end])
}

/** A package as pip takes it; `files` are the package's own. */
export function wheelOf(name: string, version: string, files: ZipEntry[]): Buffer {
  const info = `${name}-${version}.dist-info`
  return zipOf([
    ...files,
    {
      name: `${info}/METADATA`,
      content: `Metadata-Version: 2.1\nName: ${name}\nVersion: ${version}\nLicense: MIT\n\nLong words.\n`,
    },
    {
      name: `${info}/WHEEL`,
      content: 'Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n',
    },
    { name: `${info}/RECORD`, content: '' },
  ])
}
