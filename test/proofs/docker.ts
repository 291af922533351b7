// Shows that the images and docker/compose.yaml work, without a Docker engine: the images are built, one holds what it
// should and no more, and the services of each profile do together what they are there for.
//
//   make docker-proof
//   make docker-proof ARGS='--profiles watch,tls'
//
// Needs root, buildah, podman, debootstrap and podman-compose; where one is missing it says so and ends. Others' images are
// stand-ins where they can't be fetched (test/docker/).

import { join } from 'node:path'
import { parseArgs } from 'node:util'

import { ROOT } from '../support/process.ts'
import { Containers, findWhatIsMissing } from './docker/containers.ts'
import { proveCpu } from './docker/cpu.ts'
import { proveGpu } from './docker/gpu.ts'
import { buildAll, inspectGateway } from './docker/images.ts'
import { proveScale } from './docker/scale.ts'
import { proveTls } from './docker/tls.ts'
import { proveWatch } from './docker/watch.ts'
import { say, Verdict } from './verdict.ts'

const CLIENTS = 16

const missing = findWhatIsMissing()
if (missing) {
  say(`Skipped: ${missing}.`)
  process.exit(0)
}
const verdict = new Verdict()
const containers = await Containers.open(join(ROOT, '.cache/containers'))
const proofs: Record<string, () => Promise<void>> = {
  cpu: () => proveCpu(containers, verdict, CLIENTS),
  watch: () => proveWatch(containers, verdict),
  scale: () => proveScale(containers, verdict),
  tls: () => proveTls(containers, verdict),
  gpu: () => proveGpu(containers, verdict),
}
const chosen = readProfiles(Object.keys(proofs))

await buildAll(containers, chosen)
await inspectGateway(containers, verdict)
for (const profile of chosen) {
  try {
    await proofs[profile]!()
  } catch (error) {
    say(`${profile}: ${error instanceof Error ? error.message : String(error)}`)
    verdict.hold(`the profile ${profile} can be shown`, false, 'it ended with an error')
  }
}
verdict.tell()

/** @throws Error that lists what there is */
function readProfiles(known: string[]): string[] {
  const { values } = parseArgs({ options: { profiles: { type: 'string' } } })
  const named = values.profiles?.split(',') ?? known
  for (const profile of named) {
    if (known.includes(profile)) continue
    throw new Error(`--profiles names '${profile}'; there are proofs of ${known.join(', ')}.`)
  }
  return named
}
