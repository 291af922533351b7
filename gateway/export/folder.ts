// A folder as the place that days are exported to.
//
// A file is written under another name, made durable and renamed: it is there as a whole or not at all, also after a
// power cut.

import { open, mkdir, readFile, rename, rm } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'
import { pathToFileURL } from 'node:url'

import type { Destination, LocalFile } from './destination.ts'

export class Folder implements Destination {
  readonly name: string
  readonly workshop: string
  readonly #path: string

  private constructor(path: string) {
    this.#path = path
    this.name = pathToFileURL(path).href
    // On the same file system: what is made there is moved, not copied.
    this.workshop = path
  }

  static async open(path: string): Promise<Folder> {
    await mkdir(path, { recursive: true })
    return new Folder(path)
  }

  async read(name: string): Promise<string | null> {
    try {
      return await readFile(join(this.#path, name), 'utf8')
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') return null
      throw error
    }
  }

  async write(name: string, text: string): Promise<void> {
    const path = join(this.#path, name)
    await mkdir(dirname(path), { recursive: true })
    const made = join(dirname(path), `.${basename(path)}.new`)
    const file = await open(made, 'w')
    try {
      await file.writeFile(text)
      await file.sync()
    } finally {
      await file.close()
    }
    await move(made, path)
  }

  async put(name: string, { path: made }: LocalFile): Promise<void> {
    const path = join(this.#path, name)
    await mkdir(dirname(path), { recursive: true })
    const file = await open(made, 'r+')
    try {
      await file.sync()
    } finally {
      await file.close()
    }
    await move(made, path)
  }

  async remove(name: string): Promise<void> {
    await rm(join(this.#path, name), { force: true })
  }

  close(): Promise<void> {
    return Promise.resolve()
  }
}

async function move(from: string, to: string): Promise<void> {
  await rename(from, to)
  // The name itself is durable when its folder is.
  const folder = await open(dirname(to), 'r')
  try {
    await folder.sync()
  } finally {
    await folder.close()
  }
}
