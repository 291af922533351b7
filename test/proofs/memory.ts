// Shows that unloading gives memory back: a runtime loads two versions, answers with both, unloads them, ten times over,
// and its processes have as much memory at the end as they had at the beginning.
//
// Memory is that of the runtime's whole tree of processes, as the kernel counts it (/proc/<pid>/smaps_rollup): PSS, and of
// that what is no file's. The promise is about the latter: Node's code is shared with everything on the machine that runs
// Node, and what of it is a process's share changes when others come and go.
//
//   make memory-proof                        ten cycles
//   make memory-proof ARGS='--cycles 50'     fifty

import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'

import { canMeasure, usedBy } from '../bench/overhead/process-tree.ts'
import type { Used } from '../bench/overhead/process-tree.ts'
import { table } from '../bench/table.ts'
import { createRuntimeClient } from '../../runtime/client.ts'
import { makeFolder } from '../support/folder.ts'
import { startHeadrace } from '../support/process.ts'
import { TINY } from '../support/random-checkpoint.ts'
import { addRandomVersion, randomPrompt } from '../support/random-version.ts'
import { readOptions, say, Verdict } from './verdict.ts'
import type { Lasting } from '../support/lasting.ts'
import type { VersionId } from '../../runtime/protocol.ts'

const TOLERANCE = 0.03
const PARALLEL = 8
const PROMPT_TOKENS = 400
const ANSWER_TOKENS = 64
/** what the host's own collector gets to notice that nothing is going on */
const SETTLE_MS = 1_000

const { cycles } = readOptions({ cycles: 10 })
if (!canMeasure())
  throw new Error('Nothing can be shown: memory of processes is only measured on Linux.')
const verdict = new Verdict()
await using undo = new AsyncDisposableStack()
const t: Lasting = { after: (stop) => undo.defer(stop) }
const never = new AbortController().signal

say('Two versions are made, of 38 and 20 million random weights.')
const dataDir = await makeFolder(t, 'proof')
const shape = { ...TINY, heads: 8, kvHeads: 4, headDim: 64, contextLength: 1024, vocabSize: 8000 }
const versions = [
  await addRandomVersion(dataDir, {
    name: 'large',
    architecture: { ...shape, layers: 8, hiddenSize: 512, intermediateSize: 2048 },
  }),
  await addRandomVersion(dataDir, {
    name: 'small',
    seed: 2,
    architecture: { ...shape, layers: 4, hiddenSize: 512, intermediateSize: 2048 },
  }),
]
const address = `unix:${join(dataDir, 'runtime.sock')}`
const runtime = startHeadrace(t, ['runtime'], {
  env: {
    HEADRACE_DATA_DIR: dataDir,
    HEADRACE_RUNTIME_LISTEN: address,
    HEADRACE_SLOTS: String(PARALLEL),
  },
})
await runtime.says(/the runtime listens/)
const client = createRuntimeClient({ address })
undo.defer(() => client.close())

/** The host is asked how it is first, as by a gateway: what that takes is no part of a version. */
async function measure(): Promise<Used> {
  await client.stats()
  await sleep(SETTLE_MS)
  return usedBy(runtime.pid)
}

async function work(version: VersionId, cycle: number): Promise<void> {
  await Promise.all(
    Array.from({ length: PARALLEL }, async (_, n) => {
      const request = {
        id: `${version}-${cycle}-${n}`,
        version,
        prompt: { kind: 'tokens' as const, ids: randomPrompt(PROMPT_TOKENS) },
        sampling: { temperature: 1, seed: n },
        maxTokens: ANSWER_TOKENS,
        stop: [],
        ignoreEnd: true,
      }
      for await (const _event of client.generate(request, never)) continue
    }),
  )
}

const mib = (bytes: number) => (bytes / 2 ** 20).toFixed(1)
const both = ({ ownBytes, memoryBytes }: Used) => `${mib(ownBytes)} MiB (PSS ${mib(memoryBytes)})`
const figures = ({ ownBytes, memoryBytes }: Used) => [mib(ownBytes), mib(memoryBytes)]
const percent = (share: number) => `${(100 * share).toFixed(1)} %`
const drift = () => after.ownBytes / before.ownBytes - 1
const before = await measure()
say(`The runtime has ${both(before)}.`)
const rows: string[][] = []
let after = before
let leastLoaded = Infinity
for (let cycle = 1; cycle <= cycles; cycle++) {
  for (const version of versions) {
    await client.load(version)
    await work(version, cycle)
  }
  const loaded = await measure()
  for (const version of versions) await client.unload(version)
  after = await measure()
  leastLoaded = Math.min(leastLoaded, loaded.ownBytes)
  rows.push([String(cycle), ...[loaded, after].flatMap(figures), percent(drift())])
  say(`Cycle ${cycle}: ${both(loaded)} loaded, ${both(after)} unloaded.`)
}
const headings = ['loaded, MiB', 'PSS', 'unloaded, MiB', 'PSS', 'against the start']
console.log(`\n${table(['cycle', ...headings], rows)}`)
verdict.hold(
  `after ${cycles} cycles memory is within ${percent(TOLERANCE)} of where it began`,
  Math.abs(drift()) <= TOLERANCE,
  `${both(before)}, then ${both(after)}`,
)
verdict.hold(
  'there was something to give back',
  leastLoaded > 3 * before.ownBytes,
  `${mib(leastLoaded)} MiB at least while loaded`,
)
verdict.tell()
