// Several runtimes as one: each request goes to the one that has the fewest of ours, each version is loaded on all.
//
// Knows: the contract of a runtime. Does not know: addresses, models.

import { RuntimeError } from '../runtime/client.ts'
import type { Runtime } from '../runtime/client.ts'
import type { HostStats } from '../runtime/protocol.ts'

interface Member {
  runtime: Runtime
  /** requests of this gateway that it has now */
  open: number
}

/** @param runtimes at least one */
export function combineRuntimes(runtimes: Runtime[]): Runtime {
  const [only] = runtimes
  if (only && runtimes.length === 1) return only
  const members: Member[] = runtimes.map((runtime) => ({ runtime, open: 0 }))

  return {
    async *generate(request, signal) {
      // A runtime that can't be reached is passed over as long as nothing of the answer was given out.
      const byLoad = members.toSorted((a, b) => a.open - b.open)
      for (const [index, member] of byLoad.entries()) {
        let hasBegun = false
        member.open++
        try {
          for await (const event of member.runtime.generate(request, signal)) {
            hasBegun = true
            yield event
          }
          return
        } catch (error) {
          const isLast = index === byLoad.length - 1
          if (hasBegun || isLast || !isUnreachable(error)) throw error
        } finally {
          member.open--
        }
      }
    },

    async load(version, onProgress) {
      // One that can't be reached must not keep the version from those that can.
      await someOf(members, ({ runtime }) => runtime.load(version, onProgress))
    },

    async unload(version) {
      await someOf(members, ({ runtime }) => runtime.unload(version))
    },

    async stats(): Promise<HostStats> {
      const all = await someOf(members, ({ runtime }) => runtime.stats())
      // Each version is loaded on all: the fullest host decides what fits.
      const memories = all.flatMap(({ memory }) => memory ?? [])
      const [memory] = memories.toSorted((a, b) => a.freeBytes - b.freeBytes)
      return { pid: process.pid, memory, engines: all.flatMap(({ engines }) => engines) }
    },

    async close() {
      await Promise.all(members.map(({ runtime }) => runtime.close()))
    },
  }
}

/** @returns what those gave that can be reached @throws whatever else went wrong, or where none can be */
async function someOf<T>(members: Member[], ask: (member: Member) => Promise<T>): Promise<T[]> {
  const outcomes = await Promise.allSettled(members.map(ask))
  const failures = outcomes.filter((outcome) => outcome.status === 'rejected')
  const serious = failures.find(({ reason }) => !isUnreachable(reason)) ?? failures[0]
  if (serious && (!isUnreachable(serious.reason) || failures.length === outcomes.length)) {
    throw serious.reason
  }
  return outcomes.flatMap((outcome) => (outcome.status === 'fulfilled' ? [outcome.value] : []))
}

function isUnreachable(error: unknown): boolean {
  return error instanceof RuntimeError && error.code === 'runtime_unreachable'
}
