// Where on this host a version's folder is, and whether it is of any use here.
//
// Ids come from outside; the patterns that both halves have to fit have no room for a path.

import { access, readFile } from 'node:fs/promises'
import { join } from 'node:path'

import { MANIFEST_FILE, MODEL_NAME, readManifest, VERSION_NUMBER } from '../../models/manifest.ts'
import type { Manifest } from '../../models/manifest.ts'
import { deviceMismatch } from '../engine/device-mismatch.ts'
import type { Device, RuntimeFailure, VersionId } from '../protocol.ts'

/** @returns the folder and, of an adapter that its base's engine takes, the base; or what to tell whoever asked for it */
export async function findVersionFolder(
  dataDir: string,
  version: VersionId,
): Promise<{ folder: string; base: VersionId | null } | { failure: RuntimeFailure }> {
  const [name = '', number = '', ...more] = version.split('@')
  if (!MODEL_NAME.test(name) || !VERSION_NUMBER.test(number) || more.length > 0) {
    const message = `'${version}' is no version id; these are written model@number, e.g. support-chat@3.`
    return { failure: { code: 'invalid_request', message } }
  }
  const folder = join(dataDir, 'models', name, number)
  try {
    await access(join(folder, MANIFEST_FILE))
    return { folder, base: await baseOf(folder) }
  } catch {
    const message = `There is no version '${version}' on this host: ${folder} has no ${MANIFEST_FILE}.`
    return { failure: { code: 'version_not_loaded', message } }
  }
}

/** What is wrong with a manifest is for the engine to say, which reads it whole. */
async function baseOf(folder: string): Promise<VersionId | null> {
  try {
    const text = await readFile(join(folder, MANIFEST_FILE), 'utf8')
    const { adapter } = JSON.parse(text) as Partial<Manifest>
    return adapter?.form === 'resident' ? adapter.base.version : null
  } catch {
    return null
  }
}

/** @returns why the host's device can't serve the version, before anything is started or ended for it; null where it can */
export async function unservable(
  folder: string,
  version: VersionId,
  device: Device,
): Promise<RuntimeFailure | null> {
  // Every version can be served on the processor.
  if (device === 'cpu') return null
  // What is wrong with a manifest is for the engine to say.
  const manifest = await readManifest(folder).catch(() => null)
  const mismatch = manifest && deviceMismatch(manifest, device)
  if (mismatch === null) return null
  return { code: 'version_unusable', message: `Version '${version}' can't be served: ${mismatch}` }
}
