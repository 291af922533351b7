// Conversations as threads, whichever way their clients send them.

import assert from 'node:assert/strict'
import { randomUUIDv7 } from 'node:crypto'
import test from 'node:test'

import { threadLinksOf } from '../../../gateway/exchange-log/thread.ts'
import { rowsOf } from '../../support/admin.ts'
import { exchangeRecord } from '../../support/exchange-record.ts'
import { startReading } from '../../support/exchange-reading.ts'
import { usePostgres } from '../../support/postgres.ts'

const postgres = usePostgres()

const user = (content: unknown) => ({ role: 'user', content })
const assistant = (content: unknown) => ({ role: 'assistant', content })

const linksOf = (prompt: unknown, answer: string | null, more = {}) =>
  threadLinksOf(exchangeRecord({ prompt, answer: answer === null ? null : [answer], ...more }))

test('a conversation that is sent anew with every request is one thread', async (t) => {
  const { ask, write } = await startReading(t, postgres)
  const first = { prompt: [user('Hi')], answer: ['Hello!'] }
  const second = {
    prompt: [
      { role: 'system', content: 'It is noon.' },
      user('Hi'),
      assistant('Hello! '),
      user('Sing'),
    ],
    answer: ['La la'],
  }
  const third = {
    prompt: [
      user('Hi'),
      assistant('Hello!'),
      user('Sing'),
      assistant([{ type: 'text', text: 'La la' }]),
      user('More'),
    ],
    answer: ['Tra la'],
  }
  // Asked again after the first answer: another branch.
  const branch = { prompt: [user('Hi'), assistant('Hello!'), user('Dance')], answer: ['I can not'] }
  const stranger = { ...second, callerId: randomUUIDv7() }
  const ids: string[] = []
  for (const record of [first, second, third, branch, stranger]) ids.push(...(await write(record)))

  const threadOf = async (id?: string) =>
    rowsOf(await ask('GET', `/admin/exchanges/${id}/thread`)).map((row) => row['id'])
  assert.deepEqual(await threadOf(ids[2]), ids.slice(0, 3))
  assert.deepEqual(await threadOf(ids[1]), ids.slice(0, 3))
  assert.deepEqual(await threadOf(ids[0]), ids.slice(0, 4))
  assert.deepEqual(await threadOf(ids[3]), [ids[0], ids[3]])
  assert.deepEqual(await threadOf(ids[4]), [ids[4]])

  const withBodies = await ask('GET', `/admin/exchanges/${ids[1]}/thread?include=bodies`)
  assert.deepEqual(
    rowsOf(withBodies).map((row) => row['answer']),
    [['Hello!'], ['La la'], ['Tra la']],
  )
})

test('responses that name the one before them are one thread', async (t) => {
  const { ask, write } = await startReading(t, postgres)
  const root = randomUUIDv7()
  const conversationId = root
  const [first] = await write({ id: root, conversationId, prompt: 'Hi' })
  const [second] = await write({ conversationId, previousId: root, prompt: 'And?' })
  const [third] = await write({ conversationId, previousId: second, prompt: 'So?' })
  const thread = rowsOf(await ask('GET', `/admin/exchanges/${second}/thread`))
  assert.deepEqual(
    thread.map((row) => row['id']),
    [first, second, third],
  )
})

test('an exchange that is in no conversation is a thread of one', async (t) => {
  const { ask, write } = await startReading(t, postgres)
  const [id] = await write({ prompt: 'Once upon', route: '/v1/completions' })
  assert.deepEqual(
    rowsOf(await ask('GET', `/admin/exchanges/${id}/thread`)).map((row) => row['id']),
    [id],
  )
})

test('the digest of an exchange is the previous digest of what goes on from it', () => {
  const tools = { toolCalls: [[{ id: 'call_1', name: 'look', arguments: '{}' }]] }
  const asked = linksOf([user('Look')], '', tools)
  const chat = linksOf(
    [
      user('Look'),
      {
        role: 'assistant',
        content: null,
        tool_calls: [{ id: 'call_1', function: { name: 'look' } }],
      },
      { role: 'tool', tool_call_id: 'call_1', content: 'a bird' },
    ],
    'A bird.',
  )
  assert.equal(chat?.previousDigest, asked?.digest)
  assert.equal(chat?.conversationId, asked?.conversationId)
  const messages = linksOf(
    [
      user([{ type: 'text', text: 'Look' }]),
      assistant([
        { type: 'thinking', thinking: 'hm' },
        { type: 'tool_use', id: 'call_1', name: 'look', input: {} },
      ]),
      user([{ type: 'tool_result', tool_use_id: 'call_1', content: 'a bird' }]),
    ],
    'A bird.',
  )
  assert.equal(messages?.previousDigest, asked?.digest)
  const responses = linksOf(
    [
      user('Look'),
      { type: 'function_call', call_id: 'call_1', name: 'look', arguments: '{}' },
      { type: 'function_call_output', call_id: 'call_1', output: 'a bird' },
    ],
    'A bird.',
  )
  assert.equal(responses?.previousDigest, asked?.digest)
  assert.equal(asked?.previousDigest, null)
})

test('what was said otherwise, by others, or not at all is another conversation', () => {
  const [one, other] = [linksOf([user('a'), user('b')], 'c'), linksOf([user('a:1:b')], 'c')]
  assert.notEqual(one?.digest, other?.digest)
  const callers = [CALLER_A, CALLER_B].map((callerId) =>
    linksOf([user('Hi')], 'Hello', { callerId }),
  )
  assert.notEqual(callers[0]?.conversationId, callers[1]?.conversationId)
  assert.equal(callers[0]?.digest, callers[1]?.digest)
  assert.equal(linksOf([user('Hi')], null), null)
  assert.equal(linksOf('Hi', 'Hello'), null)
  assert.equal(linksOf(['Hi', 'you'], 'Hello'), null)
  assert.equal(linksOf(null, 'Hello'), null)
})

const CALLER_A = '0190a3f2-7c4e-7000-8000-000000000001'
const CALLER_B = '0190a3f2-7c4e-7000-8000-000000000002'
