// Who says what is kept of texts: a key, its project, the server.

import assert from 'node:assert/strict'
import test from 'node:test'

import { rowsOf, startAdmin } from '../../support/admin.ts'
import { MODEL, privacyOf } from '../../support/gateway.ts'
import { usePostgres } from '../../support/postgres.ts'

const postgres = usePostgres()
const CHAT = { model: MODEL, messages: [{ role: 'user', content: 'I am jane@example.com' }] }

const KEPT = { whole: 'I am jane@example.com', redacted: 'I am [EMAIL_1]', none: null }

test("the stricter of a key's and its project's policy counts, else the server's", async (t) => {
  const { ask, makeKey, log } = await startAdmin(t, postgres, {
    deps: { privacy: privacyOf('redacted') },
  })
  const cases = [
    [null, null, 'redacted'],
    ['whole', null, 'whole'],
    [null, 'whole', 'whole'],
    ['whole', 'redacted', 'redacted'],
    ['redacted', 'none', 'none'],
    ['none', 'whole', 'none'],
  ] as const
  for (const [index, [ofKey, ofProject]] of cases.entries()) {
    const project = `project-${index}`
    await ask('POST', '/admin/projects', { name: project, bodies: ofProject })
    const { key, body } = await makeKey({ name: `key-${index}`, project, bodies: ofKey })
    assert.equal(body['bodies'], ofKey)
    await ask('POST', '/v1/chat/completions', CHAT, key)
  }
  const records = await log.first(cases.length)
  const prompts = records.map(
    ({ prompt }) => (prompt as typeof CHAT.messages)?.[0]?.content ?? null,
  )
  assert.deepEqual(
    prompts,
    cases.map(([, , kept]) => KEPT[kept]),
  )
  assert.ok(records.every(({ promptTokens }) => promptTokens !== null))
})

test('a changed policy counts at once, and the audit log has it', async (t) => {
  const { ask, makeKey, log } = await startAdmin(t, postgres)
  const { key, id } = await makeKey({ name: 'bot' })
  await ask('POST', '/v1/chat/completions', CHAT, key)
  const changed = await ask('PATCH', `/admin/keys/${id}`, { bodies: 'none' })
  assert.equal(changed.body['bodies'], 'none')
  await ask('POST', '/v1/chat/completions', CHAT, key)
  const records = await log.first(2)
  assert.deepEqual(
    records.map(({ prompt, answer }) => [prompt === null, answer === null]),
    [
      [false, false],
      [true, true],
    ],
  )
  const [entry] = rowsOf(await ask('GET', '/admin/audit?action=key.update'))
  const { before, after } = entry as Record<string, Record<string, unknown>>
  assert.deepEqual([before?.['bodies'], after?.['bodies']], [null, 'none'])
  const wrong = await ask('PATCH', `/admin/keys/${id}`, { bodies: 'some' })
  assert.equal(wrong.status, 400)
})
