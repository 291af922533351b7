// Runtime hosts of one test, as a gateway has them: real servers and processes, on one folder of versions.

import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import type { TestContext } from 'node:test'

import { Fleet } from '../../gateway/residency/fleet.ts'
import { FleetHost } from '../../gateway/residency/fleet-host.ts'
import { Residency } from '../../gateway/residency/residency.ts'
import { createRuntimeClient } from '../../runtime/client.ts'
import { recordLog } from './logger.ts'
import type { RuntimeSettings } from '../../runtime/settings.ts'

/** @param addresses one for each host; they are called `host-0`, `host-1`, … */
export function openFleet(
  t: TestContext,
  addresses: string[],
  { copies = null, wantedForMs }: { copies?: number | null; wantedForMs?: number } = {},
) {
  const hosts = addresses.map(
    (address, n) => new FleetHost(`host-${n}`, createRuntimeClient({ address })),
  )
  const fleet = new Fleet(hosts, copies)
  const { logger, lines } = recordLog()
  const residency = new Residency({ fleet, copies, wantedForMs, logger })
  t.after(async () => {
    residency.close()
    await fleet.close()
  })
  return { fleet, residency, hosts, lines }
}

/** A host as a process of its own, on real engines, which a test may kill. */
export async function startHostProcess(t: TestContext, settings: RuntimeSettings) {
  const entry = join(import.meta.dirname, 'runtime-process.ts')
  const child = spawn(process.execPath, [entry, JSON.stringify(settings), 'real'], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  const exited = once(child, 'exit')
  t.after(async () => {
    child.kill('SIGKILL')
    await exited
  })
  await once(child.stdout, 'data')
  return {
    kill: async () => {
      child.kill('SIGKILL')
      await exited
    },
  }
}
