// End users speak from a browser, with a token alone.

import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { test } from 'node:test'

import { FeedbackTokens } from '../../gateway/feedback/tokens.ts'
import { Keyring } from '../../gateway/secrets.ts'
import { errorOf, rowsOf } from '../support/admin.ts'
import { CHAT } from '../support/gateway.ts'
import { startLogged } from '../support/logged-gateway.ts'
import { usePostgres } from '../support/postgres.ts'

const postgres = usePostgres()

test('a token for one exchange lets its end user say, change, read and take back their word', async (t) => {
  const { url, ask, makeKey, chat } = await startLogged(t, postgres)
  const { key } = await makeKey({ name: 'app' })
  const id = await chat(key, { user: 'ann' })
  const path = `/v1/exchanges/${id}/feedback-token`
  const made = await ask('POST', path, { expires_in: 60 }, key)
  assert.deepEqual([made.status, made.body['exchange_id'], made.body['end_user']], [201, id, 'ann'])
  const lifeMs = Date.parse(String(made.body['expires_at'])) - Date.now()
  assert.ok(lifeMs > 50_000 && lifeMs <= 60_000)
  const ann = String(made.body['token'])
  const bob = String((await ask('POST', path, { end_user: 'bob' }, key)).body['token'])

  assert.equal((await ask('GET', '/v1/feedback', undefined, ann)).status, 404)
  for (const opinion of [{ thumb: 'up' }, { thumb: 'up' }, { comment: 'Nice.' }]) {
    assert.equal((await ask('POST', '/v1/feedback', opinion, ann)).status, 200)
  }
  await ask('POST', '/v1/feedback', { thumb: 'down' }, bob)
  const { body } = await ask('GET', '/v1/feedback', undefined, ann)
  assert.deepEqual([body['thumb'], body['comment'], body['end_user']], ['up', 'Nice.', 'ann'])
  assert.ok(!('caller' in body) && !('model' in body))
  const rows = rowsOf(await ask('GET', `/admin/exchanges/${id}/feedback`))
  assert.deepEqual(
    rows.map((row) => [row['given_by'], row['end_user'], row['thumb'], row['model']]),
    [
      ['end_user', 'bob', 'down', 'guide'],
      ['end_user', 'ann', 'up', 'guide'],
    ],
  )
  const headers = { authorization: `Bearer ${ann}` }
  assert.equal((await fetch(`${url}/v1/feedback`, { method: 'DELETE', headers })).status, 204)
  assert.equal((await ask('GET', '/v1/feedback', undefined, ann)).status, 404)
})

test('a token comes with the answer for whoever asks, streamed or not', async (t) => {
  const { url, ask, makeKey } = await startLogged(t, postgres)
  const { key } = await makeKey({ name: 'app' })
  const chat = (stream: boolean, life: string) =>
    fetch(`${url}/v1/chat/completions`, {
      method: 'POST',
      headers: {
        authorization: `Bearer ${key}`,
        'content-type': 'application/json',
        'x-headrace-feedback-token': life,
      },
      body: JSON.stringify({ ...CHAT, stream, safety_identifier: 'ann' }),
    })
  for (const stream of [true, false]) {
    const response = await chat(stream, '60')
    await response.text()
    const token = response.headers.get('x-headrace-feedback-token')!
    const { body } = await ask('POST', '/v1/feedback', { score: 4 }, token)
    assert.deepEqual(
      [body['exchange_id'], body['end_user']],
      [response.headers.get('x-request-id'), 'ann'],
    )
  }
  assert.equal(rowsOf(await ask('GET', '/admin/feedback')).length, 2)
  const refused = await chat(false, 'forever')
  assert.equal(refused.status, 400)
  assert.match(await refused.text(), /a number of seconds from 1 to 2592000/)
})

test('expired, forged and foreign tokens open nothing, and a token opens nothing else', async (t) => {
  let nowMs = Date.now()
  const { ask, makeKey, chat, tokens } = await startLogged(t, postgres, { now: () => nowMs })
  const { key } = await makeKey({ name: 'app' })
  const id = await chat(key)
  const { body } = await ask('POST', `/v1/exchanges/${id}/feedback-token`, {}, key)
  const token = String(body['token'])
  const [head, claims, signature] = token.split('.')
  const changed = { ...JSON.parse(Buffer.from(claims!, 'base64url').toString()), sub: 'eve' }
  const forged = Buffer.from(JSON.stringify(changed)).toString('base64url')
  const none = Buffer.from('{"alg":"none"}').toString('base64url')
  const grant = await tokens.verify(token)
  const foreign = await new FeedbackTokens([randomBytes(32)], () => nowMs).sign(grant, 60)
  for (const wrong of [
    `${head}.${forged}.${signature}`,
    `${none}.${claims}.`,
    foreign.token,
    key,
    'x',
  ]) {
    const refused = errorOf(await ask('POST', '/v1/feedback', { thumb: 'up' }, wrong))
    assert.deepEqual([refused.status, refused.code], [401, 'invalid_token'])
  }
  assert.equal((await ask('GET', '/v1/models', undefined, token)).status, 401)
  assert.equal(
    (await ask('POST', `/v1/exchanges/${id}/feedback`, { thumb: 'up' }, token)).status,
    401,
  )
  nowMs += 25 * 3_600_000
  const late = errorOf(await ask('POST', '/v1/feedback', { thumb: 'up' }, token))
  assert.deepEqual([late.status, late.code], [401, 'expired_token'])
})

test('browsers may ask from any page, here and nowhere else', async (t) => {
  const { url, ask, makeKey, chat } = await startLogged(t, postgres)
  const { key } = await makeKey({ name: 'app' })
  const { body } = await ask('POST', `/v1/exchanges/${await chat(key)}/feedback-token`, {}, key)
  const preflight = (path: string) =>
    fetch(url + path, {
      method: 'OPTIONS',
      headers: { origin: 'https://shop.example', 'access-control-request-method': 'POST' },
    })
  const allowed = await preflight('/v1/feedback')
  assert.equal(allowed.status, 204)
  assert.equal(allowed.headers.get('access-control-allow-origin'), '*')
  assert.match(allowed.headers.get('access-control-allow-headers')!, /authorization/)
  for (const token of [String(body['token']), 'x']) {
    const { headers } = await ask('POST', '/v1/feedback', { thumb: 'up' }, token)
    assert.equal(headers.get('access-control-allow-origin'), '*')
    assert.equal(headers.get('access-control-allow-credentials'), null)
  }
  for (const path of ['/v1/chat/completions', '/v1/exchanges/x/feedback', '/admin/feedback']) {
    assert.equal((await preflight(path)).headers.get('access-control-allow-origin'), null)
  }
})

test('an end user who clicks without end is asked to slow down', async (t) => {
  const { ask, makeKey, chat } = await startLogged(t, postgres)
  const { key } = await makeKey({ name: 'app' })
  const path = `/v1/exchanges/${await chat(key)}/feedback-token`
  const [ann, bob] = await Promise.all(
    ['ann', 'bob'].map(async (end_user) =>
      String((await ask('POST', path, { end_user }, key)).body['token']),
    ),
  )
  for (let click = 0; click < 20; click++) {
    const thumb = click % 2 === 0 ? 'up' : 'down'
    assert.equal((await ask('POST', '/v1/feedback', { thumb }, ann)).status, 200)
  }
  const slower = await ask('POST', '/v1/feedback', { thumb: 'up' }, ann)
  assert.deepEqual([slower.status, errorOf(slower).code], [429, 'rate_limit_exceeded'])
  assert.ok(Number(slower.headers.get('retry-after')) > 0)
  assert.equal((await ask('POST', '/v1/feedback', { thumb: 'up' }, bob)).status, 200)
  assert.equal(rowsOf(await ask('GET', '/admin/feedback')).length, 2)
})

test("keys that are derived rotate with the operator's, and give nothing away of each other", async () => {
  const [older, newer] = [randomBytes(32), randomBytes(32)]
  const before = new Keyring([older]).derive('feedback')
  const after = new Keyring([newer, older]).derive('feedback')
  assert.notDeepEqual(before, new Keyring([older]).derive('something else'))
  const grant = {
    exchangeId: '019aa000-0000-7000-8000-000000000000',
    endUser: 'ann',
    callerId: null,
    callerName: 'app',
    projectId: null,
    bodies: null,
    isConfirmed: true,
  }
  const { token } = await new FeedbackTokens(before, Date.now).sign(grant, 60)
  assert.deepEqual(await new FeedbackTokens(after, Date.now).verify(token), grant)
  const renewed = await new FeedbackTokens(after, Date.now).sign(grant, 60)
  await assert.rejects(
    new FeedbackTokens(before, Date.now).verify(renewed.token),
    /no feedback token/,
  )
})
