// Requests that name an adapter before it is there.

import assert from 'node:assert/strict'
import { test } from 'node:test'

import type { PackedAdapter } from '../../../runtime/graph/packed-adapter.ts'
import { Arrivals } from '../../../runtime/engine/arrivals.ts'
import type { GenerateRequest } from '../../../runtime/protocol.ts'

const request = (id: string, version = 'one@1'): GenerateRequest => ({
  id,
  version,
  prompt: { kind: 'text', text: 'hello' },
  sampling: {},
  stop: [],
})

/** Files that are read when the test says so. */
function start() {
  const log: string[] = []
  const reads: PromiseWithResolvers<PackedAdapter>[] = []
  const arrivals = new Arrivals({
    engine: {
      adapters: {
        prepare: () => Promise.resolve(),
        add: (version) => void log.push(`add ${version}`),
        drop: (version) => void log.push(`drop ${version}`),
      },
    },
    read: () => {
      const read = Promise.withResolvers<PackedAdapter>()
      reads.push(read)
      return read.promise
    },
    submit: ({ id }) => void log.push(`submit ${id}`),
  })
  const take = (version: string) =>
    arrivals.take(version, 'folder', (failure) => {
      log.push(failure ? `failed ${String(failure.cause)}` : `told ${version}`)
    })
  return { arrivals, reads, log, take }
}

const turn = () => new Promise((resolve) => setImmediate(resolve))

test('a request waits for its adapter; one that is cancelled meanwhile is never begun', async () => {
  const { arrivals, reads, log, take } = start()
  const taken = take('one@1')
  await turn()
  assert.equal(arrivals.hold(request('stays')), true)
  assert.equal(arrivals.hold(request('leaves')), true)
  assert.equal(arrivals.hold(request('other', 'base@1')), false)
  arrivals.cancel('leaves')
  assert.equal(arrivals.isEmpty, false)
  reads[0]!.resolve(new Map())
  await taken
  assert.deepEqual(log, ['add one@1', 'told one@1', 'submit stays'])
  assert.equal(arrivals.isEmpty, true)
  assert.equal(arrivals.hold(request('later')), false)
})

test('a request whose adapter can not be read is submitted all the same, to be refused', async () => {
  const { arrivals, reads, log, take } = start()
  const taken = take('one@1')
  await turn()
  arrivals.hold(request('a'))
  reads[0]!.reject(new Error('cut off'))
  await taken
  assert.deepEqual(log, ['failed Error: cut off', 'submit a'])
})

test('an adapter that is dropped on its way and comes again is there in the end', async () => {
  const { arrivals, reads, log, take } = start()
  const first = take('one@1')
  arrivals.drop('one@1')
  const second = take('one@1')
  await turn()
  reads[0]!.resolve(new Map())
  await first
  await turn()
  assert.equal(arrivals.hold(request('a')), true)
  reads[1]!.resolve(new Map())
  await second
  await arrivals.settled()
  const once = ['add one@1', 'told one@1']
  assert.deepEqual(log, [...once, 'drop one@1', ...once, 'submit a'])
})
