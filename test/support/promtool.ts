// Prometheus' own programs, where they are installed: Debian's packages prometheus and prometheus-alertmanager.

import { spawnSync } from 'node:child_process'

export const PROMETHEUS_IS_ABSENT =
  spawnSync('promtool', ['--version']).status === 0 ? false : 'prometheus is not installed'

export const ALERTMANAGER_IS_ABSENT =
  spawnSync('amtool', ['--version']).status === 0
    ? false
    : 'prometheus-alertmanager is not installed'

/** What a program said, and whether it was content. */
export function run(command: 'promtool' | 'amtool', ...args: string[]) {
  const { status, stdout, stderr } = spawnSync(command, args, { encoding: 'utf8' })
  return { isContent: status === 0, stdout, said: stdout + stderr }
}
