// What a scrape of a large installation costs: 50 models of three versions, 200 callers near their budgets.
//
// Judged is processor time, which a busy machine does not change.
//
//   make bench-scrape

import { createMetrics, fill, NO_LIMITS } from '../support/metrics.ts'

const ROUNDS = 50
const BAR_BYTES = 2_000_000
const BAR_MS = 50

const standings = () =>
  Array.from({ length: 200 }, (_, index) => ({
    labels: { owner: 'key', name: `caller-${index}`, limit: 'dailyUsd' },
    isBudget: true,
    used: 900,
    limit: 1_000,
    unit: 1,
  }))
const metrics = createMetrics({
  extra: new Set(['gen_ai', 'limits'] as const),
  limits: { ...NO_LIMITS, limits: { ...NO_LIMITS.limits, standings } },
})
fill(metrics)

const times: number[] = []
let text = ''
for (let round = 0; round < ROUNDS; round++) {
  const before = processorMs()
  text = await metrics.render()
  times.push(processorMs() - before)
}
metrics.close()
const [firstMs] = times
const sorted = times.toSorted((a, b) => a - b)
const medianMs = sorted[ROUNDS >> 1]!
const series = text.split('\n').filter((line) => line !== '' && !line.startsWith('#')).length

const lines = [
  `series   ${series}`,
  `size     ${(text.length / 1e6).toFixed(2)} MB, of ${BAR_BYTES / 1e6}`,
  `time     ${medianMs.toFixed(1)} ms of a core, of ${BAR_MS}; the first ${firstMs!.toFixed(1)}, the slowest ${sorted.at(-1)!.toFixed(1)}`,
]
process.stdout.write(`${lines.join('\n')}\n`)
if (text.length > BAR_BYTES || medianMs > BAR_MS) process.exitCode = 1

/** of this thread */
function processorMs(): number {
  const { user, system } = process.threadCpuUsage()
  return (user + system) / 1_000
}
