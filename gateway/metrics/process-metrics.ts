// This process as metrics: what Node says of it, its event loop, what runs, and the disk that it writes to.

import { statfs } from 'node:fs/promises'
import { monitorEventLoopDelay } from 'node:perf_hooks'

import { collectDefaultMetrics, Gauge } from 'prom-client'
import type { Registry } from 'prom-client'

export interface ProcessOptions {
  /** of this build */
  release: string
  /** folder whose disk is looked at; absent: none */
  dataDir?: string
}

/** the sampling interval of the event loop's delay, which Node counts into what it measures */
const LOOP_RESOLUTION_MS = 10

/** @returns what ends the measuring */
export function exposeProcess(
  registers: [Registry],
  { release, dataDir }: ProcessOptions,
): () => void {
  collectDefaultMetrics({ register: registers[0] })
  const loopDelay = monitorEventLoopDelay({ resolution: LOOP_RESOLUTION_MS })
  loopDelay.enable()
  new Gauge({
    name: 'headrace_event_loop_delay_p99_seconds',
    help: "99th percentile of the event loop's delay since the last scrape. Above 0.02: something computes in the gateway.",
    registers,
    collect() {
      const delayMs = loopDelay.count > 0 ? loopDelay.percentile(99) / 1e6 - LOOP_RESOLUTION_MS : 0
      this.set(Math.max(0, delayMs) / 1000)
      loopDelay.reset()
    },
  })
  new Gauge({
    name: 'headrace_build_info',
    help: 'Always 1; the labels say what runs.',
    labelNames: ['release', 'node'],
    registers,
  }).set({ release, node: process.version }, 1)
  if (dataDir !== undefined) exposeDisk(registers, dataDir)
  return () => loopDelay.disable()
}

function exposeDisk(registers: Registry[], dataDir: string): void {
  const figures = [
    ['size', 'Size of the disk that the data folder is on.', 'blocks'],
    [
      'free',
      'What is free of it to this process. At 5 % exchanges are not kept any more; the embedded PostgreSQL is there too.',
      'bavail',
    ],
  ] as const
  for (const [name, help, blocks] of figures) {
    new Gauge({
      name: `headrace_data_disk_${name}_bytes`,
      help,
      registers,
      async collect() {
        try {
          const disk = await statfs(dataDir)
          this.set(disk[blocks] * disk.bsize)
        } catch {
          // A folder that is gone has no figures, and must not take the others with it.
          this.remove()
        }
      },
    })
  }
}
