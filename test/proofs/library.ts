// The library of a proof, and the runtime that loads it: tiny versions, real engines, a process of their own each.
//
// Knows: version folders, one runtime host. Does not know: gateways.

import { chmod, truncate, writeFile } from 'node:fs/promises'
import { join } from 'node:path'

import { createRuntimeClient } from '../../runtime/client.ts'
import { startRuntime } from '../../runtime/main.ts'
import { makeFolder } from '../support/folder.ts'
import { defer } from '../support/lasting.ts'
import { recordLog } from '../support/logger.ts'
import { addTinyVersion } from '../support/tiny-version.ts'
import type { Runtime } from '../../runtime/client.ts'
import type { Lasting } from '../support/lasting.ts'
import type { TinyOptions } from '../support/tiny-version.ts'

export class ProofLibrary {
  readonly models: string
  readonly runtimeUrl: string
  readonly runtime: Runtime
  readonly #dataDir: string

  private constructor(dataDir: string, runtimeUrl: string) {
    this.#dataDir = dataDir
    this.models = join(dataDir, 'models')
    this.runtimeUrl = runtimeUrl
    this.runtime = createRuntimeClient({ address: runtimeUrl })
  }

  /** @param listen absent: a socket in its folder */
  static async start(t: Lasting, slots = 8, listen?: string): Promise<ProofLibrary> {
    const dataDir = await makeFolder(t, 'proof')
    const address = listen ?? `unix:${dataDir}/runtime.sock`
    const { logger } = recordLog()
    const host = await startRuntime(
      { dataDir, address, drainMs: 20_000, threads: 1, slots },
      logger,
    )
    const library = new ProofLibrary(dataDir, host.address)
    defer(t, async () => {
      await library.runtime.close()
      await host.close()
    })
    return library
  }

  add(model: string, options?: TinyOptions): Promise<string> {
    return addTinyVersion(this.#dataDir, model, options)
  }

  /** Has a version's folder seem to hold terabytes: no host has room for it beside another. */
  async inflate(version: string): Promise<void> {
    const folder = join(this.models, ...version.split('@'))
    await chmod(folder, 0o755)
    const file = join(folder, 'ballast')
    await writeFile(file, '')
    await truncate(file, 2 ** 42)
  }

  /** Versions that are ready. */
  async loaded(): Promise<string[]> {
    const { engines } = await this.runtime.stats()
    return engines.flatMap(({ version, state }) => (state === 'ready' ? version : [])).sort()
  }
}
