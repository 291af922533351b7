// The library of a proof, and the runtime that loads it: tiny versions, real engines, a process of their own each.
//
// Knows: version folders, one runtime host. Does not know: gateways.

import { chmod, readFile, writeFile } from 'node:fs/promises'
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

  /** Has a version's manifest claim a petabyte: no host has room for it beside another. */
  async inflate(version: string): Promise<void> {
    const file = join(this.models, ...version.split('@'), 'manifest.json')
    const manifest = JSON.parse(await readFile(file, 'utf8')) as {
      tokenizer: { configFile: string }
      files: Record<string, { bytes: number }>
    }
    manifest.files[manifest.tokenizer.configFile]!.bytes = 2 ** 50
    await chmod(file, 0o644)
    await writeFile(file, JSON.stringify(manifest))
  }

  /** Versions that are ready. */
  async loaded(): Promise<string[]> {
    const { engines } = await this.runtime.stats()
    return engines.flatMap(({ version, state }) => (state === 'ready' ? version : [])).sort()
  }
}
