// The runtimes of a gateway, put together: a client for each address, the fleet over them, and what is to be resident.

import { createRuntimeClient } from '../../runtime/client.ts'
import { Fleet } from './fleet.ts'
import { FleetHost } from './fleet-host.ts'
import { Residency } from './residency.ts'
import type { Logger } from '../logger.ts'

export interface RuntimeAddresses {
  addresses: string[]
  /** what they ask for */
  token: string | null
  /** the only one is this server's own, whose address means nothing to anybody */
  isOwn: boolean
}

/** What a name of a model or a version stands for; null: there is none. */
export interface VersionNames {
  resolve(name: string): Promise<{ id: string } | null>
}

interface OpenOptions extends RuntimeAddresses {
  copies: number | null
  /** models or versions that are to stay loaded */
  keepWarm: string[]
  versions: VersionNames
  logger: Logger
}

/** @returns null where there is no runtime */
export function openResidency(
  options: OpenOptions,
): { fleet: Fleet; residency: Residency; close: () => Promise<void> } | null {
  const { addresses, token, isOwn, copies, keepWarm, versions, logger } = options
  if (addresses.length === 0) return null
  const hosts = addresses.map((address) => {
    const runtime = createRuntimeClient({ address, token: token ?? undefined })
    return new FleetHost(isOwn ? 'local' : address, runtime)
  })
  const fleet = new Fleet(hosts, copies)
  const readKept = async () => {
    const found = await Promise.all(keepWarm.map((name) => versions.resolve(name)))
    return found.flatMap((version) => (version ? [version.id] : []))
  }
  const residency = new Residency({ fleet, copies, logger })
  if (keepWarm.length > 0) residency.follow('kept warm', readKept)
  residency.start()
  const close = async () => {
    residency.close()
    await fleet.close()
  }
  return { fleet, residency, close }
}
