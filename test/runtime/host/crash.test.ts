import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { TestContext } from 'node:test'

import { RuntimeError } from '../../../runtime/client.ts'
import type { GenerateEvent } from '../../../runtime/protocol.ts'
import type { FakeScript } from '../../support/fake-engine.ts'
import {
  begin,
  collect,
  eventually,
  fakeRequest,
  startTestRuntime,
  textOf,
} from '../../support/runtime.ts'
import type { TestRuntime } from '../../support/runtime.ts'

const never = new AbortController().signal

async function startLoaded(t: TestContext, script?: FakeScript, hangMs?: number) {
  const runtime = await startTestRuntime(t, { maxWaiting: 2, hangMs })
  const version = await runtime.addVersion('crashing', script)
  await runtime.client.load(version)
  return { runtime, version, ask: asker(runtime, version) }
}

function asker(runtime: TestRuntime, version: string) {
  return (prompt = {}, signal = never) =>
    runtime.client.generate(fakeRequest(version, prompt), signal)
}

async function engineOf(runtime: TestRuntime) {
  const [engine] = (await runtime.client.stats()).engines
  assert.ok(engine)
  return engine
}

/** Kills the engine and waits until the host has noticed. */
async function crash(runtime: TestRuntime) {
  const { pid, restarts } = await engineOf(runtime)
  assert.ok(pid)
  process.kill(pid, 'SIGKILL')
  await eventually('the crash is noticed', async () => {
    return (await engineOf(runtime)).restarts > restarts
  })
}

test('a crash in the middle of 8 streams ends each with engine_lost, and the next request is answered', async (t) => {
  const { runtime, version, ask } = await startLoaded(t)
  let streaming = 0
  const streams = Array.from({ length: 8 }, async () => {
    const events: GenerateEvent[] = []
    let hasDelta = false
    try {
      for await (const event of ask({ deltas: 9_999, everyMs: 5 })) {
        events.push(event)
        if (event.type === 'delta' && !hasDelta) {
          hasDelta = true
          streaming++
        }
      }
    } catch (error) {
      return { events, error }
    }
    throw new Error('an answer that was cut looked complete')
  })
  await eventually('all stream', () => streaming === 8)
  const { pid } = await engineOf(runtime)
  assert.ok(pid)
  process.kill(pid, 'SIGKILL')

  for (const { events, error } of await Promise.all(streams)) {
    assert.ok(error instanceof RuntimeError)
    assert.equal(error.code, 'engine_lost')
    assert.match(error.message, /'crashing@1' was ended by SIGKILL/)
    // What it had used is known from what it had told.
    const [first, ...deltas] = events
    assert.ok(first?.type === 'started')
    assert.deepEqual([first.promptTokens, first.cachedTokens], [7, 2])
    const tokens = deltas.map((event) => (event.type === 'delta' ? event.tokens : 0))
    assert.ok(tokens.length > 0 && tokens.every((count) => count > 0))
  }
  assert.equal(textOf(await collect(ask())), 'word0 word1 word2 ')
  const stats = await engineOf(runtime)
  assert.notEqual(stats.pid, pid)
  assert.equal(stats.state, 'ready')
  assert.equal(stats.restarts, 1)
  assert.equal(stats.reason, undefined)
  const starts = (await runtime.journal(version)).filter(({ event }) => event === 'start')
  assert.equal(starts.length, 2)
})

test('requests that arrive while the engine restarts wait for it, up to a number', async (t) => {
  const { runtime, version, ask } = await startLoaded(t, { loadMs: 300 })
  await crash(runtime)
  const waiting = [collect(ask()), collect(ask())]
  await eventually('both wait', async () => (await engineOf(runtime)).waiting === 2)
  const { state, reason } = await engineOf(runtime)
  assert.equal(state, 'restarting')
  assert.match(reason ?? '', /SIGKILL/)
  await assert.rejects(collect(ask()), { code: 'overloaded', message: /2 requests wait/ })
  await runtime.client.load(version)
  assert.equal((await engineOf(runtime)).state, 'ready')
  for (const answer of await Promise.all(waiting)) {
    assert.equal(textOf(answer), 'word0 word1 word2 ')
  }
})

test('a request that is cancelled while it waits for the restart never reaches the engine', async (t) => {
  const { runtime, version, ask } = await startLoaded(t, { loadMs: 200 })
  await crash(runtime)
  const leaving = new AbortController()
  const left = assert.rejects(collect(ask({}, leaving.signal)), { message: 'enough' })
  await eventually('it waits', async () => (await engineOf(runtime)).waiting === 1)
  leaving.abort(new Error('enough'))
  await left
  await eventually('it is forgotten', async () => (await engineOf(runtime)).waiting === 0)
  await collect(ask())
  const reached = (await runtime.journal(version)).filter(({ event }) => event === 'generate')
  assert.equal(reached.length, 1)
})

test('a request that the engine had not begun is given to the next one, once', async (t) => {
  const { runtime, version, ask } = await startLoaded(t)
  const innocent = collect(ask({ startMs: 250 }))
  await eventually('it is there', async () => {
    return (await runtime.journal(version)).some(({ event }) => event === 'generate')
  })
  await crash(runtime)
  assert.equal(textOf(await innocent), 'word0 word1 word2 ')

  const unlucky = assert.rejects(collect(ask({ startMs: 60_000 })), { code: 'engine_lost' })
  for (const losses of [3, 4]) {
    await eventually('it is given to an engine', async () => {
      const given = (await runtime.journal(version)).filter(({ event }) => event === 'generate')
      return given.length === losses
    })
    await crash(runtime)
  }
  await unlucky
})

test('what a process writes before it crashes is in the log, under its version', async (t) => {
  const { runtime, ask } = await startLoaded(t)
  await assert.rejects(collect(ask({ crash: 'out of cheese' })), (error) => {
    assert.ok(error instanceof RuntimeError)
    assert.match(error.message, /was ended by SIGABRT/)
    return true
  })
  await eventually('it is logged', () => {
    return runtime.log.some(({ message }) => message === 'out of cheese')
  })
  const line = runtime.log.find(({ message }) => message === 'out of cheese')
  assert.equal(line?.level, 'warn')
  assert.partialDeepStrictEqual(line?.context, { version: 'crashing@1' })
})

test('a version that has become unusable is given up, and those who wait are told why', async (t) => {
  const { runtime, ask } = await startLoaded(t, {
    loadMs: 100,
    loadError: { code: 'version_unusable', message: 'model.onnx is gone', fromStart: 2 },
  })
  await crash(runtime)
  await assert.rejects(collect(ask()), { code: 'version_unusable', message: /model.onnx is gone/ })
  assert.equal((await engineOf(runtime)).state, 'failed')
})

test('an engine that can not load for another reason is tried again', async (t) => {
  const { runtime, version, ask } = await startLoaded(t, {
    loadError: { code: 'internal', message: 'no memory', fromStart: 2 },
  })
  await crash(runtime)
  const waiting = collect(ask())
  await eventually('it failed to load', () => {
    return runtime.log.some(({ message }) => message.includes('no memory'))
  })
  await runtime.addVersion('crashing', {})
  assert.equal(textOf(await waiting), 'word0 word1 word2 ')
  assert.ok((await engineOf(runtime)).restarts >= 2)
  assert.ok((await runtime.journal(version)).filter(({ event }) => event === 'start').length >= 3)
})

test('an engine that no longer answers is started again', async (t) => {
  const { runtime, ask } = await startLoaded(t, {}, 400)
  const { pid } = await engineOf(runtime)
  assert.ok(pid)
  const { answer } = await begin(ask({ deltas: 9_999, everyMs: 5 }))
  process.kill(pid, 'SIGSTOP')
  await assert.rejects(answer, {
    code: 'engine_lost',
    message: /had not answered for 0.4 s and was/,
  })
  assert.equal(textOf(await collect(ask())), 'word0 word1 word2 ')
})
