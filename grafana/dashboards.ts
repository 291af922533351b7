// All dashboards, as the files that Grafana is provisioned with.

import { callers } from './callers.ts'
import { latency } from './latency.ts'
import { overview } from './overview.ts'
import { runtime } from './runtime.ts'
import { versions } from './versions.ts'

/** Text by file name. */
export function dashboardFiles(): Map<string, string> {
  const boards = { overview, latency, runtime, versions, callers }
  return new Map(
    Object.entries(boards).map(([name, build]) => [
      `${name}.json`,
      `${JSON.stringify(build().build(), null, 2)}\n`,
    ]),
  )
}
