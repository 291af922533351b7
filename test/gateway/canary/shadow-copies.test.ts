import assert from 'node:assert/strict'
import { once } from 'node:events'
import { test } from 'node:test'
import type { TestContext } from 'node:test'

import { ShadowCopies } from '../../../gateway/canary/shadow/shadow-copies.ts'
import { GatewayError } from '../../../gateway/errors.ts'
import { exchangeRecord } from '../../support/exchange-record.ts'
import { privacyOf } from '../../support/gateway.ts'
import { recordLog } from '../../support/logger.ts'
import { saying, ScriptedBackend, thinkingAndCalling } from '../../support/scripted-backend.ts'
import type {
  ShadowCopiesOptions,
  ShadowCopy,
} from '../../../gateway/canary/shadow/shadow-copies.ts'
import type { AnswerEvent, Chat } from '../../../gateway/backends/backend.ts'
import type { ShadowRow } from '../../../gateway/db/shadow-answers.ts'
import type { ExchangeRecord } from '../../../gateway/exchange/exchange-record.ts'

const QUESTION: Chat = {
  kind: 'chat',
  id: 'exchange-1',
  promptParam: 'messages',
  isStreamed: true,
  choices: 1,
  sampling: {},
  stop: [],
  extra: {},
  dialect: 'openai',
  messages: [],
  tools: [],
}

async function startCopies(t: TestContext, options: Partial<ShadowCopiesOptions> = {}) {
  const backend = new ScriptedBackend()
  const rows: ShadowRow[] = []
  const { logger } = recordLog()
  const copies = new ShadowCopies({
    keep: (row) => {
      rows.push(row)
      return Promise.resolve()
    },
    privacy: privacyOf('whole'),
    logger,
    random: () => 0.5,
    ...options,
  })
  t.after(() => copies.close())
  const copyOf = (record: Partial<ExchangeRecord> = {}, upstream = 'far'): ShadowCopy => ({
    question: QUESTION,
    bytes: 1_000,
    record: exchangeRecord({ answer: ['Hello'], toolCalls: null, ...record }),
    bodies: null,
    share: 1,
    target: {
      version: 'guide@3',
      upstream,
      asks: 'guide-3',
      backend,
      weight: 1,
      price: { input: 1, output: 2 },
      timeouts: {},
      created: '2026-01-01T00:00:00.000Z',
    },
  })
  const settled = async () => {
    do await new Promise((resolve) => setTimeout(resolve, 2))
    while (copies.pending > 0)
  }
  return { copies, backend, rows, copyOf, settled }
}

/** Answers that wait for the test, or for their end. */
function gate() {
  const waiting: (() => void)[] = []
  return {
    waiting,
    async *script(_question: unknown, signal: AbortSignal): AsyncGenerator<AnswerEvent> {
      await Promise.race([new Promise<void>((go) => waiting.push(go)), once(signal, 'abort')])
      signal.throwIfAborted()
      yield* saying('Hello')
    },
  }
}

test("a shadow's answer is kept beside the live one's figures", async (t) => {
  const { copies, backend, rows, copyOf, settled } = await startCopies(t)
  backend.script = () => saying('Hel', 'lo!')
  const copy = copyOf({ timeToFirstTokenMs: 40, totalMs: 90, completionTokens: 3 })
  copies.offer(copy)
  assert.equal(backend.questions.length, 0, 'nothing is asked before the client has its answer')
  await settled()
  const [row] = rows
  assert.ok(row)
  const { exchangeId, liveVersion, version, upstream, outcome, answer, costUsd } = row
  assert.deepEqual(
    { exchangeId, liveVersion, version, upstream, outcome, answer, costUsd },
    {
      exchangeId: copy.record.id,
      liveVersion: 'guide@2',
      version: 'guide@3',
      upstream: 'far',
      outcome: 'completed',
      answer: ['Hello!'],
      costUsd: (7 - 2 + 2 + 5 * 2) / 1e6,
    },
  )
  assert.deepEqual([row.liveTimeToFirstTokenMs, row.liveTotalMs], [40, 90])
  assert.ok(row.similarity! > 0.7 && row.similarity! < 1)
  assert.ok(row.timeToFirstTokenMs! <= row.totalMs)
  assert.notEqual(backend.questions[0]?.id, QUESTION.id, 'an engine knows requests by their ids')
  assert.deepEqual(copies.results, { kept: 1, dropped: 0, lost: 0 })
})

test('the share says how many are copied', async (t) => {
  const draws = [0.1, 0.29, 0.31, 0.9]
  const { copies, rows, copyOf, settled } = await startCopies(t, { random: () => draws.shift()! })
  for (let i = 0; i < 4; i++) copies.offer({ ...copyOf(), share: 0.3 })
  await settled()
  assert.equal(rows.length, 2)
})

test('what the shadow itself answered is not copied', async (t) => {
  const { copies, backend, copyOf, settled } = await startCopies(t)
  copies.offer(copyOf({ version: 'guide@3' }))
  await settled()
  assert.equal(backend.questions.length, 0)
})

test('engines of this side are asked one at a time, upstreams two', async (t) => {
  for (const [upstream, atOnce] of [
    ['local', 1],
    ['far', 2],
  ] as const) {
    const { copies, backend, rows, copyOf, settled } = await startCopies(t)
    const { waiting, script } = gate()
    backend.script = script
    for (let i = 0; i < 4; i++) copies.offer(copyOf({}, upstream))
    for (let answered = 0; answered < 4; answered++) {
      while (waiting.length <= answered) await new Promise((resolve) => setImmediate(resolve))
      assert.ok(backend.questions.length - answered <= atOnce)
      waiting[answered]!()
    }
    await settled()
    assert.equal(rows.length, 4)
  }
})

test('where there is no room copies are dropped and counted', async (t) => {
  const { copies, backend, rows, copyOf, settled } = await startCopies(t, {
    limits: { waiting: 2, waitingBytes: 2_500 },
  })
  backend.script = gate().script
  copies.offer({ ...copyOf(), bytes: 2_600 })
  assert.equal(copies.results.dropped, 1, 'too many bytes')
  for (let i = 0; i < 5; i++) copies.offer(copyOf())
  assert.equal(copies.results.dropped, 4, 'two wait')
  await copies.close()
  await settled()
  assert.deepEqual(rows, [])
  assert.equal(copies.results.dropped, 6, 'what was asked or waited at the end is dropped')
  copies.offer(copyOf())
  assert.equal(copies.pending, 0, 'nothing is taken after the end')
})

test('a shadow that fails, breaks off or takes too long is a row that says so', async (t) => {
  const { copies, backend, rows, copyOf, settled } = await startCopies(t, { timeLimitMs: 30 })
  const failures: [ScriptedBackend['script'], string][] = [
    [
      () => {
        throw new GatewayError('upstream_error', 'It failed.')
      },
      'upstream_error',
    ],
    [() => [{ type: 'delta', choice: 0, text: 'Half', tokens: 1 }], 'upstream_malformed'],
    [gate().script, 'upstream_timeout'],
  ]
  for (const [script, code] of failures) {
    backend.script = script
    copies.offer(copyOf())
    await settled()
    const row = rows.at(-1)
    assert.deepEqual([row?.outcome, row?.errorCode, row?.similarity], ['failed', code, null])
  }
  assert.equal(rows.length, 3)
})

test('texts are kept as the policy says, figures in any case', async (t) => {
  const { copies, backend, rows, copyOf, settled } = await startCopies(t)
  backend.script = () => saying('Write to jane@example.com')
  for (const bodies of ['redacted', 'none'] as const) {
    copies.offer({ ...copyOf({ answer: ['Write to jane@example.com'] }), bodies })
  }
  await settled()
  const kept = rows.map(({ answer, similarity }) => [answer, similarity])
  const redacted = kept.findIndex(([answer]) => answer !== null)
  assert.deepEqual(kept[redacted], [['Write to [EMAIL_1]'], 1])
  assert.deepEqual(kept[1 - redacted], [null, 1])
})

test('calls of tools are part of the answer', async (t) => {
  const { copies, backend, rows, copyOf, settled } = await startCopies(t)
  backend.script = () => thinkingAndCalling()
  const calls = [
    { id: 'call_1', name: 'weather', arguments: '{"city":"Rome"}' },
    { id: 'call_2', name: 'weather', arguments: '{"city":"Oslo"}' },
  ]
  copies.offer(copyOf({ answer: ['Let me look.'], toolCalls: [calls] }))
  await settled()
  assert.deepEqual(rows[0]?.answer, [
    'Let me look.\nweather({"city":"Rome"})\nweather({"city":"Oslo"})',
  ])
  assert.equal(rows[0].similarity, 1, 'thoughts and ids are not')
})

test('a table that is away loses the row, not the process', async (t) => {
  const { copies, copyOf, settled } = await startCopies(t, {
    keep: () => Promise.reject(new Error('connection refused')),
  })
  copies.offer(copyOf())
  await settled()
  assert.deepEqual(copies.results, { kept: 0, dropped: 0, lost: 1 })
})
