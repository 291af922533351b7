// API keys over the admin API: made, read, changed, rotated, revoked.

import assert from 'node:assert/strict'
import test from 'node:test'

import { errorOf, rowsOf, startAdmin } from '../../support/admin.ts'
import { CHAT, MODEL } from '../../support/gateway.ts'
import { usePostgres } from '../../support/postgres.ts'

const postgres = usePostgres()

const FIELDS = {
  role: 'developer',
  allowed_models: ['guide', 'small-*'],
  limits: { requests_per_minute: 60, monthly_usd: 12.5, concurrent_requests: 4 },
  tags: { team: 'search' },
  cache_seconds: 30,
  expires_at: '2099-01-31T00:00:00.000Z',
}

test('a key is shown once, works at once, and is read back as it was made', async (t) => {
  const { ask, makeKey, client } = await startAdmin(t, postgres)
  await ask('POST', '/admin/projects', { name: 'search' })
  const { key, id, body } = await makeKey({ name: 'bot', project: 'search', ...FIELDS })
  assert.match(key, /^hr_[\w-]{43}$/)
  await client.withOptions({ apiKey: key }).chat.completions.create(CHAT)

  const { body: shown } = await ask('GET', `/admin/keys/${id}`)
  const { key: _, ...rest } = body
  assert.deepEqual(shown, rest)
  for (const [name, value] of Object.entries(FIELDS)) assert.deepEqual(shown[name], value, name)
  assert.equal((shown['project'] as { name: string }).name, 'search')
  assert.equal(shown['created_by'], 'admin')
  assert.deepEqual((await ask('GET', '/admin/keys/bot')).body, shown)
  assert.ok(!JSON.stringify(await ask('GET', '/admin/keys')).includes(key))
})

test('what a key may not be is refused, with what is allowed', async (t) => {
  const { ask, makeKey } = await startAdmin(t, postgres)
  await makeKey({ name: 'taken' })
  for (const [draft, status, code, param, words] of [
    [{}, 400, 'missing_required_parameter', 'name', /name/],
    [{ name: ' x' }, 400, 'invalid_value', 'name', /letters, digits, spaces and . _ @ -/],
    [{ name: 'taken' }, 409, 'name_taken', 'name', /taken by a key that is valid/],
    [{ name: 'a', role: 'king' }, 400, 'invalid_value', 'role', /"caller", "developer", "admin"/],
    [{ name: 'a', limits: { rpm: 1 } }, 400, 'unknown_parameter', 'limits.rpm', /limits\.rpm/],
    [
      { name: 'a', limits: { daily_tokens: 1.5 } },
      400,
      'invalid_type',
      'limits.daily_tokens',
      /an integer.* got 1.5/,
    ],
    [{ name: 'a', project: 'none such' }, 404, 'project_not_found', null, /'none such'/],
    [{ name: 'a', expires_at: 'soon' }, 400, 'invalid_value', 'expires_at', /2027-01-31T00:00:00Z/],
    [
      { name: 'a', expires_at: '2001-01-01T00:00:00Z' },
      400,
      'invalid_value',
      'expires_at',
      /future/,
    ],
    [{ name: 'a', allowed_models: 'gpt' }, 400, 'invalid_type', 'allowed_models', /array/],
  ] as const) {
    const error = errorOf(await ask('POST', '/admin/keys', draft))
    assert.deepEqual([error.status, error.code, error.param], [status, code, param], error.message)
    assert.match(error.message, words)
  }
  assert.equal(rowsOf(await ask('GET', '/admin/keys')).length, 1)
})

test('a change touches what it names, and null takes away', async (t) => {
  const { ask, makeKey } = await startAdmin(t, postgres)
  const { id, body: before } = await makeKey({ name: 'bot', ...FIELDS })
  const { body: after } = await ask('PATCH', `/admin/keys/${id}`, {
    limits: { monthly_usd: null, daily_tokens: 5 },
    tags: { team: null, stage: 'test' },
    expires_at: null,
  })
  assert.deepEqual(after['limits'], {
    requests_per_minute: 60,
    concurrent_requests: 4,
    daily_tokens: 5,
  })
  assert.deepEqual(after['tags'], { stage: 'test' })
  assert.equal(after['expires_at'], null)
  for (const name of ['name', 'role', 'allowed_models', 'cache_seconds', 'prefix', 'created_at']) {
    assert.deepEqual(after[name], before[name], name)
  }
})

test('changes at once lose nothing, and the audit log tells each as it was', async (t) => {
  const { ask, makeKey } = await startAdmin(t, postgres)
  const { id } = await makeKey({ name: 'bot' })
  const tags = Array.from({ length: 12 }, (_, index) => `tag-${index}`)
  await Promise.all(tags.map((tag) => ask('PATCH', `/admin/keys/${id}`, { tags: { [tag]: 'x' } })))
  const { body } = await ask('GET', `/admin/keys/${id}`)
  assert.deepEqual(Object.keys(body['tags'] as object).sort(), tags.sort())

  const entries = rowsOf(await ask('GET', '/admin/audit?action=key.update')) as {
    before: { tags: object }
    after: { tags: object }
  }[]
  assert.equal(entries.length, 12)
  const sizes = entries.map(({ before, after }) => [
    Object.keys(before.tags).length,
    Object.keys(after.tags).length,
  ])
  assert.deepEqual(
    sizes.sort(([a = 0], [b = 0]) => a - b),
    tags.map((_, index) => [index, index + 1]),
  )
})

test('a rotated key works at once, the one before for the overlap, and then says that it expired', async (t) => {
  const clock = { ms: Date.now() }
  const now = () => clock.ms
  const { ask, makeKey, client } = await startAdmin(t, postgres, { deps: { now } })
  const chat = (apiKey: string) => client.withOptions({ apiKey }).chat.completions.create(CHAT)
  const { key: first, id } = await makeKey({ name: 'bot' })
  await chat(first)

  const rotated = await ask('POST', `/admin/keys/${id}/rotate`, { overlap_seconds: 3600 })
  const second = String(rotated.body['key'])
  assert.notEqual(second, first)
  await chat(second)
  await chat(first)
  clock.ms = Date.parse(String(rotated.body['previous_key_until'])) + 1_000
  await assert.rejects(chat(first), { status: 401, code: 'expired_api_key' })
  await chat(second)

  const third = String((await ask('POST', `/admin/keys/${id}/rotate`)).body['key'])
  await chat(third)
  await assert.rejects(chat(second), { status: 401, code: 'invalid_api_key' })
  await assert.rejects(chat(first), { status: 401, code: 'invalid_api_key' })
})

test('a key that was revoked is refused here at once, and in another replica within five seconds', async (t) => {
  const clock = { ms: Date.now() }
  const here = await startAdmin(t, postgres, { deps: { now: () => clock.ms } })
  const there = await startAdmin(t, here.pool, { deps: { now: () => clock.ms } })
  const { key: apiKey, id } = await here.makeKey({ name: 'bot' })
  const chat = ({ client }: typeof here) =>
    client.withOptions({ apiKey }).chat.completions.create(CHAT)
  await chat(here)
  await chat(there)

  const { body } = await here.ask('DELETE', `/admin/keys/${id}`)
  assert.ok(body['revoked_at'])
  await assert.rejects(chat(here), { status: 401, code: 'invalid_api_key' })
  clock.ms += 5_000
  await assert.rejects(chat(there), { status: 401, code: 'invalid_api_key' })
  assert.equal(errorOf(await here.ask('DELETE', `/admin/keys/${id}`)).code, 'key_revoked')
  assert.equal(errorOf(await here.ask('PATCH', '/admin/keys/bot', {})).code, 'key_not_found')
  assert.equal(rowsOf(await here.ask('GET', '/admin/keys')).length, 0)
  assert.equal(rowsOf(await here.ask('GET', '/admin/keys?revoked=true')).length, 1)
})

test('a key asks only the models that it may, and sees no others', async (t) => {
  const { client, makeKey, ask } = await startAdmin(t, postgres)
  const { key: apiKey, id } = await makeKey({ name: 'bot', allowed_models: ['oth*'] })
  const own = client.withOptions({ apiKey })
  const { data } = await own.models.list()
  assert.deepEqual(
    data.map((model) => model.id),
    ['other'],
  )
  await assert.rejects(own.chat.completions.create(CHAT), { status: 404, code: 'model_not_found' })
  await ask('PATCH', `/admin/keys/${id}`, { allowed_models: null })
  await own.chat.completions.create({ ...CHAT, model: MODEL })
})

test('lists go page by page, and nothing is left out or told twice', async (t) => {
  const { ask, makeKey } = await startAdmin(t, postgres)
  const made: string[] = []
  for (let index = 0; index < 7; index++) made.unshift((await makeKey({ name: `k${index}` })).id)
  const seen: unknown[] = []
  let after = ''
  for (;;) {
    const page = await ask('GET', `/admin/keys?limit=3${after}`)
    seen.push(...rowsOf(page).map(({ id }) => id))
    if (page.body['has_more'] === false) break
    assert.equal(rowsOf(page).length, 3)
    after = `&after=${String(page.body['last_id'])}`
  }
  assert.deepEqual(seen, made)
  for (const query of ['limit=0', 'limit=101', 'limit=x', 'after=x', 'offset=3']) {
    assert.equal((await ask('GET', `/admin/keys?${query}`)).status, 400, query)
  }
})
