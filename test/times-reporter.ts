// What of the suite takes longest: its slowest files and its slowest tests, and what failed.

import { relative } from 'node:path'
import type { TestEvent } from 'node:test/reporters'

const SLOWEST = 30

interface Timed {
  name: string
  ms: number
}

// oxlint-disable-next-line import/no-default-export -- what the runner imports of a reporter
export default async function* reportTimes(events: AsyncIterable<TestEvent>) {
  const files: Timed[] = []
  const tests: Timed[] = []
  for await (const { type, data } of events) {
    if (type === 'test:pass' || type === 'test:fail') {
      const name = `${placeOf(data)} ${data.name}`
      tests.push({ name, ms: data.details.duration_ms })
      if (type === 'test:fail') yield `failed: ${name}\n${String(data.details.error.cause)}\n`
    }
    // One for each file, and one for all of them.
    if (type === 'test:summary' && data.file !== undefined) {
      files.push({ name: placeOf(data), ms: data.duration_ms })
    }
  }
  yield* slowestOf('files', files)
  yield* slowestOf('tests', tests)
}

function placeOf({ file = '' }: { file?: string }): string {
  return relative('test', file)
}

function* slowestOf(what: string, timed: Timed[]) {
  const slowest = timed.toSorted((a, b) => b.ms - a.ms).slice(0, SLOWEST)
  yield `\nslowest ${what}, in seconds:\n`
  for (const { name, ms } of slowest) yield `${(ms / 1000).toFixed(1).padStart(6)}  ${name}\n`
}
