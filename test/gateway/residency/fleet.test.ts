// Several runtime hosts as one runtime.

import assert from 'node:assert/strict'
import { test } from 'node:test'

import { Fleet } from '../../../gateway/residency/fleet.ts'
import { FleetHost } from '../../../gateway/residency/fleet-host.ts'
import { Residency } from '../../../gateway/residency/residency.ts'
import { collect } from '../../support/gateway.ts'
import { recordLog } from '../../support/logger.ts'
import { eventually } from '../../support/runtime.ts'
import {
  delta,
  done,
  failure,
  ScriptedRuntime,
  started,
  stuck,
} from '../../support/scripted-runtime.ts'
import type { GenerateRequest, RuntimeErrorCode } from '../../../runtime/protocol.ts'
import type { EngineEvent } from '../../support/scripted-runtime.ts'

const LOADED = ['guide@2']

function request(id: string): GenerateRequest {
  const prompt = { kind: 'text' as const, text: 'Hi' }
  return { id, version: 'guide@2', prompt, sampling: {}, stop: [] }
}

function start() {
  const members = [new ScriptedRuntime(LOADED), new ScriptedRuntime(LOADED)]
  return {
    members,
    combined: new Fleet(members.map((runtime, n) => new FleetHost(`host-${n}`, runtime))),
  }
}

const forever = new AbortController().signal

function failing(code: RuntimeErrorCode): AsyncIterable<EngineEvent> {
  const next = () => Promise.reject(failure(code, `It failed: ${code}.`))
  return { [Symbol.asyncIterator]: () => ({ next }) }
}

function away(runtime: ScriptedRuntime) {
  runtime.script = () => failing('runtime_unreachable')
}

test('a request goes to the runtime that has the least to do', async () => {
  const { members, combined } = start()
  members[0]!.script = async function* (_request, signal) {
    yield started()
    await stuck(signal)
  }
  const leave = new AbortController()
  const waiting = collect(combined.generate(request('1'), leave.signal)).catch(() => {})
  await new Promise((resolve) => setTimeout(resolve, 5))
  await collect(combined.generate(request('2'), forever))
  await collect(combined.generate(request('3'), forever))
  assert.deepEqual(
    members.map(({ requests }) => requests.map(({ id }) => id)),
    [['1'], ['2', '3']],
  )
  leave.abort()
  await waiting
})

test('one that cannot be reached is passed over, until something of the answer came', async () => {
  const { members, combined } = start()
  away(members[0]!)
  const events = await collect(combined.generate(request('1'), forever))
  assert.equal(events.at(-1)?.type, 'done')

  await combined.look()
  members[0]!.script = async function* () {
    yield started()
    yield delta('Hel')
    throw failure('runtime_unreachable', 'cut')
  }
  await assert.rejects(collect(combined.generate(request('2'), forever)), {
    code: 'runtime_unreachable',
  })
  assert.equal(members[1]!.requests.length, 1)
})

test('where none can be reached, that is the error; any other is told at once', async () => {
  const { members, combined } = start()
  for (const member of members) away(member)
  await assert.rejects(collect(combined.generate(request('1'), forever)), {
    code: 'runtime_unreachable',
  })
  members[0]!.script = () => failing('overloaded')
  await assert.rejects(collect(combined.generate(request('2'), forever)), { code: 'overloaded' })
})

test('a version is loaded on all that can be reached, and their figures are told together', async () => {
  const { members, combined } = start()
  members[0]!.onLoad = () => Promise.reject(failure('runtime_unreachable', 'away'))
  await combined.load('other@1')
  assert.equal(members[1]!.loaded.has('other@1'), true)

  members[1]!.onLoad = () => Promise.reject(failure('version_unusable', 'damaged'))
  await assert.rejects(combined.load('third@1'), { code: 'version_unusable' })

  const { engines } = await combined.stats()
  assert.deepEqual(
    engines.map(({ version }) => version),
    ['guide@2', 'guide@2', 'other@1'],
  )
  members[0]!.statsFailure = failure('runtime_unreachable', 'away')
  assert.equal((await combined.stats()).engines.length, 2)
})

test('an answer that began is followed to its end', async () => {
  const { members, combined } = start()
  members[0]!.script = async function* () {
    yield started()
    yield delta('Hello')
    yield done(1)
  }
  const events = await collect(combined.generate(request('1'), forever))
  assert.deepEqual(
    events.map(({ type }) => type),
    ['started', 'delta', 'done'],
  )
})

test('a request waits for the first copy of its version, a deployment for all of them', async () => {
  const members = [new ScriptedRuntime([]), new ScriptedRuntime([])]
  const fleet = new Fleet(members.map((runtime, n) => new FleetHost(`host-${n}`, runtime)))
  const slow = Promise.withResolvers<void>()
  members[1]!.onLoad = () => slow.promise
  let isWhole = false
  const whole = fleet.load('guide@2').then(() => (isWhole = true))
  await fleet.onDemand.load('guide@2')
  assert.equal(isWhole, false)
  assert.equal((await collect(fleet.onDemand.generate(request('a'), forever))).at(-1)?.type, 'done')
  slow.resolve()
  await whole
  members[0]!.loaded.clear()
  members[1]!.loaded.clear()
  for (const member of members) {
    member.onLoad = () => Promise.reject(failure('insufficient_memory', 'It is full.'))
  }
  await assert.rejects(fleet.onDemand.load('guide@2'), { message: 'It is full.' })
})

test('a source that cannot be read keeps its list, and hosts are told what is wanted all the same', async (t) => {
  const member = new ScriptedRuntime(LOADED)
  const fleet = new Fleet([new FleetHost('host-0', member)])
  const { logger, lines } = recordLog()
  const residency = new Residency({ fleet, copies: null, logger })
  t.after(() => residency.close())
  let reads = 0
  residency.follow('flaky', () => {
    if (reads++ > 0) throw new Error('the disk is away')
    return ['guide@2']
  })
  residency.follow('steady', () => [`round@${reads}`])
  residency.start()
  await eventually('it was read twice', () => reads > 1)
  await eventually('it is told', () => member.wanted?.versions.join() === `guide@2,round@${reads}`)
  assert.ok(lines.some(({ message }) => message.includes('flaky')))
})
