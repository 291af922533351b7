// What callers, admins and end users say of an exchange.

import assert from 'node:assert/strict'
import { randomUUIDv7 } from 'node:crypto'
import { test } from 'node:test'

import { dayOf, ensurePartitions, lowestIdAt, timeOfId } from '../../gateway/db/partitions.ts'
import { settleFeedback } from '../../gateway/feedback/settle.ts'
import { errorOf, rowsOf } from '../support/admin.ts'
import { startLogged } from '../support/logged-gateway.ts'
import { recordLog } from '../support/logger.ts'
import { usePostgres } from '../support/postgres.ts'

const postgres = usePostgres()
const pathOf = (id: string) => `/v1/exchanges/${id}/feedback`

test('a caller rates an answer, changes their mind and takes it back', async (t) => {
  const { url, ask, makeKey, chat } = await startLogged(t, postgres)
  const { key, id: caller } = await makeKey({ name: 'app' })
  const id = await chat(key)
  const given = await ask('POST', pathOf(`chatcmpl-${id}`), { thumb: 'down', score: 2 }, key)
  assert.equal(given.status, 200)
  const { id: feedbackId, given_at: at, updated_at: _at, ...rest } = given.body
  assert.ok(Date.parse(String(at)) > 0)
  assert.deepEqual(rest, {
    object: 'feedback',
    exchange_id: id,
    given_by: 'caller',
    end_user: null,
    caller: { id: caller, name: 'app' },
    thumb: 'down',
    score: 2,
    comment: null,
    correction: null,
    model: 'guide',
    version: 'guide@2',
  })
  const change = { thumb: 'up', score: null, comment: 'On second\0 thought…' }
  const { body } = await ask('POST', pathOf(id), change, key)
  assert.deepEqual(
    [body['id'], body['thumb'], body['score'], body['comment']],
    [feedbackId, 'up', null, 'On second\ufffd thought…'],
  )
  const list = await ask('GET', `/admin/exchanges/${id}/feedback`)
  assert.deepEqual(rowsOf(list), [body])

  const withdraw = () =>
    fetch(url + pathOf(id), { method: 'DELETE', headers: { authorization: `Bearer ${key}` } })
  assert.equal((await withdraw()).status, 204)
  assert.equal((await withdraw()).status, 404)
  assert.deepEqual(rowsOf(await ask('GET', pathOf(id), undefined, key)), [])
})

test("an end user's word is one of its own, by the caller's server or by an admin", async (t) => {
  const { ask, makeKey, chat } = await startLogged(t, postgres)
  const { key } = await makeKey({ name: 'app' })
  const id = await chat(key)
  await ask('POST', pathOf(id), { thumb: 'up' }, key)
  await ask('POST', pathOf(id), { thumb: 'down', end_user: 'ann' }, key)
  await ask('POST', `/admin/exchanges/${id}/feedback`, { score: 1, end_user: 'ann' })
  await ask('POST', `/admin/exchanges/${id}/feedback`, { correction: 'Forty-two.' })
  const rows = rowsOf(await ask('GET', pathOf(id), undefined, key))
  assert.deepEqual(
    rows.map((row) => [row['given_by'], row['end_user'], row['thumb'], row['score']]),
    [
      ['admin', null, null, null],
      ['end_user', 'ann', 'down', 1],
      ['caller', null, 'up', null],
    ],
  )
})

test('nobody speaks of what is not theirs, and members of a project may speak for each other', async (t) => {
  const { ask, makeKey, chat, exchangeLog } = await startLogged(t, postgres)
  await ask('POST', '/admin/projects', { name: 'search' })
  const one = await makeKey({ name: 'one', project: 'search' })
  const other = await makeKey({ name: 'other', project: 'search' })
  const stranger = await makeKey({ name: 'stranger' })
  const id = await chat(one.key)
  for (const isInTable of [false, true]) {
    if (isInTable) await exchangeLog.flush()
    assert.equal((await ask('POST', pathOf(id), { thumb: 'up' }, other.key)).status, 200)
    for (const [method, path, body] of [
      ['POST', pathOf(id), { thumb: 'down' }],
      ['GET', pathOf(id), undefined],
      ['POST', `/v1/exchanges/${id}/feedback-token`, {}],
    ] as const) {
      const refused = errorOf(await ask(method, path, body, stranger.key))
      assert.deepEqual([refused.status, refused.code], [404, 'exchange_not_found'])
    }
  }
  const refused = errorOf(await ask('GET', '/admin/feedback', undefined, one.key))
  assert.equal(refused.code, 'insufficient_role')
})

test('what can not be said is refused by name', async (t) => {
  const { ask, makeKey, chat } = await startLogged(t, postgres)
  const { key } = await makeKey({ name: 'app' })
  const id = await chat(key)
  for (const [body, param, message] of [
    [{}, 'thumb', /Nothing is said/],
    [{ thumb: 'sideways' }, 'thumb', /"up", "down" or null; got "sideways"/],
    [{ score: 6 }, 'score', /from 1 to 5; got 6/],
    [{ score: 1.5 }, 'score', /an integer/],
    [{ comment: 'x'.repeat(4_001) }, 'comment', /at most 4000/],
    [{ stars: 1 }, 'stars', /Unknown parameter/],
  ] as const) {
    const refused = errorOf(await ask('POST', pathOf(id), body, key))
    assert.deepEqual([refused.status, refused.param], [400, param])
    assert.match(refused.message, message)
  }
  const old = lowestIdAt(Date.now() - 2 * 86_400_000).replace('-0000-0000-', '-7000-8000-')
  const future = lowestIdAt(Date.now() + 86_400_000).replace('-0000-0000-', '-7000-8000-')
  for (const unknown of ['nothing', '../x', old, future]) {
    const path = pathOf(encodeURIComponent(unknown))
    const refused = errorOf(await ask('POST', path, { thumb: 'up' }, key))
    assert.deepEqual([refused.status, refused.code], [404, 'exchange_not_found'], unknown)
  }
})

test('a word about an exchange whose row is on its way waits for it, and for none of others', async (t) => {
  const { ask, makeKey, exchangeLog, pool } = await startLogged(t, postgres)
  const own = await makeKey({ name: 'own' })
  const other = await makeKey({ name: 'other' })
  // As another replica answers them: this one has never heard of them.
  const away = await startLogged(
    t,
    { pool: () => Promise.resolve(pool) },
    { log: { lingerMs: 60_000 } },
  )
  const [mine, theirs, never] = [
    await away.chat(own.key),
    await away.chat(other.key),
    randomUUIDv7(),
  ]
  for (const id of [mine, theirs, never]) {
    assert.equal((await ask('POST', pathOf(id), { thumb: 'up' }, own.key)).status, 200)
  }
  assert.deepEqual(rowsOf(await ask('GET', '/admin/feedback')), [])
  // An admin may speak of any; only the model has to wait.
  await ask('POST', `/admin/exchanges/${theirs}/feedback`, { score: 3 })

  await away.exchangeLog.flush()
  await exchangeLog.flush()
  const shown = rowsOf(await ask('GET', '/admin/feedback'))
  assert.deepEqual(
    shown.map((row) => [row['exchange_id'], row['model']]),
    [
      [theirs, 'guide'],
      [mine, 'guide'],
    ],
  )
  const waiting = async () =>
    (
      await pool.query<{ id: string }>(
        'SELECT exchange_id AS id FROM feedback WHERE NOT is_confirmed',
      )
    ).rows.map(({ id }) => id)
  assert.deepEqual(await waiting(), [never])
  const inNineDays = () => Date.now() + 9 * 86_400_000
  await settleFeedback({ pool, logger: recordLog().logger, now: inNineDays })()
  assert.deepEqual(await waiting(), [])
})

test('feedback is listed by rating, model, giver and time, in pages', async (t) => {
  const { ask, makeKey, chat } = await startLogged(t, postgres)
  const { key } = await makeKey({ name: 'app' })
  const begunAt = new Date().toISOString()
  for (const [model, opinion] of [
    ['guide', { thumb: 'up', score: 5 }],
    ['guide@1', { thumb: 'down', score: 2, end_user: 'ann' }],
    ['guide', { score: 3, end_user: 'ann' }],
    ['guide', { comment: 'Hm.' }],
  ] as const) {
    await ask('POST', pathOf(await chat(key, { model })), opinion, key)
  }
  const scores = async (query: string) =>
    rowsOf(await ask('GET', `/admin/feedback?${query}`)).map((row) => row['score'])
  assert.deepEqual(await scores(''), [null, 3, 2, 5])
  assert.deepEqual(await scores('thumb=down'), [2])
  assert.deepEqual(await scores('max_score=3'), [3, 2])
  assert.deepEqual(await scores('min_score=3&max_score=4'), [3])
  assert.deepEqual(await scores('version=guide@1'), [2])
  assert.deepEqual(await scores('model=guide&given_by=end_user'), [3, 2])
  assert.deepEqual(await scores('end_user=ann&limit=1'), [3])
  assert.deepEqual(await scores(`since=${begunAt}`), [null, 3, 2, 5])
  assert.deepEqual(await scores(`until=${begunAt}`), [])
  const first = await ask('GET', '/admin/feedback?limit=2')
  assert.equal(first.body['has_more'], true)
  assert.deepEqual(await scores(`limit=2&after=${String(first.body['last_id'])}`), [2, 5])

  const [newest] = rowsOf(first)
  assert.equal((await ask('DELETE', `/admin/feedback/${String(newest?.['id'])}`)).status, 200)
  assert.deepEqual(await scores(''), [3, 2, 5])
})

test('what was said of a day goes when the day goes', async (t) => {
  const { ask, makeKey, chat, pool, exchangeLog } = await startLogged(t, postgres)
  const { key } = await makeKey({ name: 'app' })
  const today = await chat(key)
  await exchangeLog.flush()
  const old = lowestIdAt(Date.now() - 30 * 86_400_000).replace('-0000-0000-', '-7000-8000-')
  await ensurePartitions(pool, [dayOf(timeOfId(old))])
  await pool.query(
    `INSERT INTO exchanges (id, started_at, method, route, attempt_count, streamed, is_usage_estimated, total_ms,
       outcome, status, is_stored)
     VALUES ($1, now(), 'POST', '/', 0, false, false, 0, 'completed', 200, false)`,
    [old],
  )
  for (const id of [today, old]) {
    await ask('POST', `/admin/exchanges/${id}/feedback`, { thumb: 'up' })
    await ask('POST', `/admin/exchanges/${id}/scores`, { name: 'tone', value: 1 })
  }
  const spokenOf = async () => {
    await settleFeedback({ pool, logger: recordLog().logger })()
    const paths = ['/admin/feedback', '/admin/scores']
    const lists = await Promise.all(paths.map(async (path) => rowsOf(await ask('GET', path))))
    return lists.map((rows) => rows.map((row) => row['exchange_id']))
  }
  assert.deepEqual(await spokenOf(), [
    [old, today],
    [old, today],
  ])
  const { rows } = await pool.query<{ name: string }>(
    `SELECT min(inhrelid::regclass::text) AS name FROM pg_inherits WHERE inhparent = 'exchanges'::regclass`,
  )
  await pool.query(`DROP TABLE ${rows[0]?.name}`)
  assert.deepEqual(await spokenOf(), [[today], [today]])
})

test('feedback is summed up by version and by day, and the worst rated come first', async (t) => {
  const { ask, makeKey, chat, pool } = await startLogged(t, postgres)
  const { key } = await makeKey({ name: 'app' })
  const [good, bad, worse] = [
    await chat(key),
    await chat(key, { model: 'guide@1' }),
    await chat(key),
  ]
  for (const [id, opinion] of [
    [good, { thumb: 'up', score: 5 }],
    [bad, { score: 2, comment: 'Hm.' }],
    [bad, { score: 3, end_user: 'ann' }],
    [worse, { thumb: 'down', score: 4, correction: 'Nine.' }],
  ] as const) {
    await ask('POST', pathOf(id), opinion, key)
  }
  const sums = rowsOf(await ask('GET', '/admin/feedback/sums'))
  assert.deepEqual(sums, [
    {
      object: 'feedback_sum',
      key: 'guide@1',
      given: 2,
      up: 0,
      down: 0,
      scored: 2,
      mean_score: 2.5,
      comments: 1,
      corrections: 0,
    },
    {
      object: 'feedback_sum',
      key: 'guide@2',
      given: 2,
      up: 1,
      down: 1,
      scored: 2,
      mean_score: 4.5,
      comments: 0,
      corrections: 1,
    },
  ])
  const given = async (query: string) =>
    rowsOf(await ask('GET', `/admin/feedback/sums?${query}`)).map((row) => [
      row['key'],
      row['given'],
    ])
  const now = new Date().toISOString()
  assert.deepEqual(await given('by=day'), [[now.slice(0, 10), 4]])
  assert.deepEqual(await given('by=hour&version=guide@2'), [[`${now.slice(0, 13)}:00:00Z`, 2]])
  assert.deepEqual(await given('by=caller&limit=1'), [['app', 4]])
  assert.deepEqual(await given('by=end_user'), [
    [null, 3],
    ['ann', 1],
  ])
  assert.deepEqual(await given(`until=2026-01-01T00:00:00Z`), [])
  const worst = rowsOf(await ask('GET', '/admin/feedback/worst'))
  assert.deepEqual(
    worst.map((row) => [row['exchange_id'], row['down'], row['mean_score']]),
    [
      [worse, 1, 4],
      [bad, 0, 2.5],
    ],
  )
  const views = await pool.query('SELECT count(*)::int AS count FROM report_feedback')
  assert.deepEqual(views.rows, [{ count: 4 }])
})

test('what is said of an answer is kept as its texts are', async (t) => {
  const { ask, makeKey, chat, url, pool } = await startLogged(t, postgres)
  const { key: redacted } = await makeKey({ name: 'careful', bodies: 'redacted' })
  const { key: none } = await makeKey({ name: 'silent', bodies: 'none' })
  const said = { comment: 'Write to jane@example.com', correction: '4111 1111 1111 1111', score: 2 }
  for (const key of [redacted, none]) {
    const id = await chat(key)
    assert.equal((await ask('POST', pathOf(id), said, key)).status, 200)
    const endUser = 'jane@example.com'
    const { body } = await ask('POST', `${pathOf(id)}-token`, { end_user: endUser }, key)
    const headers = {
      authorization: `Bearer ${String(body['token'])}`,
      'content-type': 'application/json',
    }
    for (let i = 0; i < 2; i++) {
      const given = await fetch(`${url}/v1/feedback`, {
        method: 'POST',
        headers,
        body: JSON.stringify(said),
      })
      assert.equal(given.status, 200)
    }
  }
  const { rows } = await pool.query<{ row: string; comment: string | null; score: number }>(
    'SELECT f::text AS row, comment, score FROM feedback f',
  )
  assert.equal(rows.length, 4)
  for (const { row, score } of rows) {
    assert.doesNotMatch(row, /jane@|4111/)
    assert.equal(score, 2)
  }
  assert.deepEqual(
    new Set(rows.map(({ comment }) => comment)),
    new Set(['Write to [EMAIL_1]', null]),
  )
})

test('feedback of an end user is found by their name where a pseudonym is kept', async (t) => {
  const { ask, makeKey, chat } = await startLogged(t, postgres)
  const { key } = await makeKey({ name: 'app', bodies: 'redacted' })
  const endUser = 'ann@example.com'
  await ask('POST', pathOf(await chat(key)), { score: 4, end_user: endUser }, key)
  await ask('POST', pathOf(await chat(key)), { score: 5, end_user: 'bob@example.com' }, key)
  const [row, ...others] = rowsOf(
    await ask('GET', `/admin/feedback?end_user=${encodeURIComponent(endUser)}`),
  )
  assert.deepEqual([row?.['score'], others], [4, []])
  assert.match(String(row?.['end_user']), /^user-[0-9a-f]{24}$/)
})
