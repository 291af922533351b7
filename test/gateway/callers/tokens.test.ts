// Tokens of an OIDC issuer beside API keys: what they say, when they are refused, and keys that change.

import assert from 'node:assert/strict'
import test from 'node:test'
import type { TestContext } from 'node:test'

import { findProjectOfCallers } from '../../../gateway/db/projects.ts'
import { errorOf, rowsOf, startAdmin } from '../../support/admin.ts'
import { CHAT, startGateway } from '../../support/gateway.ts'
import { AUDIENCE, startIssuer } from '../../support/issuer.ts'
import { usePostgres } from '../../support/postgres.ts'
import type { IssuerSettings } from '../../../gateway/callers/identities.ts'

const postgres = usePostgres()

const CLAIMS = { name: 'sub', project: 'project', role: 'role', models: 'models' }

async function start(t: TestContext, more: Partial<IssuerSettings> = {}) {
  const issuer = await startIssuer(t)
  const clock = { ms: Date.now() }
  const gateway = await startGateway(t, {
    settings: {
      issuer: {
        issuer: issuer.issuer,
        audience: AUDIENCE,
        jwksUrl: null,
        claimNames: CLAIMS,
        ...more,
      },
    },
    deps: { now: () => clock.ms },
  })
  const chat = (apiKey: string, model = CHAT.model) =>
    gateway.client.withOptions({ apiKey }).chat.completions.create({ ...CHAT, model })
  return { ...gateway, issuer, clock, chat }
}

test('a token of the issuer opens what its claims say, and its holder is in the row', async (t) => {
  const { issuer, chat, log, keys } = await start(t)
  keys.projects.set('search', {
    id: '11111111-0000-0000-0000-000000000000',
    name: 'search',
    limits: {},
    bodies: null,
  })
  // An address is what its holder says it is at many issuers: it is no name.
  const claims = { sub: 'alice', email: 'root@example.com', project: 'search', models: ['gui*'] }
  await chat(await issuer.sign(claims))
  await chat(await issuer.sign(claims))
  await assert.rejects(chat(await issuer.sign(claims), 'other'), { code: 'model_not_found' })
  await chat(await issuer.sign({ sub: 'bob' }), 'other')

  const records = await log.first(4)
  const ids = new Set(records.slice(0, 3).map(({ callerId }) => callerId))
  assert.equal(ids.size, 1, 'all tokens of one subject are one caller')
  assert.match(
    String(records[0]!.callerId),
    /^[0-9a-f]{8}-[0-9a-f]{4}-8[0-9a-f]{3}-[89ab][0-9a-f]{3}-/,
  )
  assert.ok(!ids.has(records[3]!.callerId))
  assert.deepEqual(
    [records[0]!.callerName, records[0]!.projectId, records[3]!.callerName],
    ['alice', '11111111-0000-0000-0000-000000000000', 'bob'],
  )
  assert.deepEqual(issuer.requests, ['/.well-known/openid-configuration', '/keys'])
})

test('a caller is named by the claim that the operator chose, in one line of bounded length', async (t) => {
  const { issuer, chat, log } = await start(t, { claimNames: { ...CLAIMS, name: 'user.login' } })
  await chat(await issuer.sign({ sub: '1', user: { login: 'alice' } }))
  await chat(await issuer.sign({ sub: 'service-2' }))
  await chat(await issuer.sign({ sub: '3', user: { login: '😀'.repeat(200) } }))
  await chat(await issuer.sign({ sub: '4', user: { login: 'eve\nroot \u202etoor' } }))
  assert.deepEqual(
    (await log.first(4)).map(({ callerName }) => callerName),
    ['alice', 'service-2', `${'😀'.repeat(127)}…`, 'eve root  toor'],
  )
})

test('a token that is not right is 401, with what is wrong with it', async (t) => {
  const { issuer, chat, log } = await start(t)
  const other = await startIssuer(t)
  const right = await issuer.sign()
  const [head, body, signature = ''] = right.split('.')
  const none = Buffer.from('{"alg":"none"}').toString('base64url')
  const cases: [string, string, RegExp][] = [
    [await issuer.sign({}, { expiresIn: -60 }), 'expired_token', /expired at 20/],
    [await issuer.sign({}, { expiresIn: null }), 'invalid_token', /no claim 'exp'/],
    [await issuer.sign({}, { audience: 'another' }), 'invalid_token', /claim 'aud' is not/],
    [await issuer.sign({}, { issuer: 'https://a.example' }), 'invalid_token', /claim 'iss' is not/],
    [await issuer.sign({ sub: undefined }), 'invalid_token', /no claim 'sub'/],
    [await issuer.sign({ sub: '' }), 'invalid_token', /claim 'sub' must be a text/],
    [await issuer.sign({ nbf: 9_999_999_999 }), 'invalid_token', /claim 'nbf' is not/],
    [await other.sign({}, { issuer: issuer.issuer }), 'invalid_token', /signature is not valid/],
    [
      await issuer.sign({}, { secret: new TextEncoder().encode('x'.repeat(32)) }),
      'invalid_token',
      /not taken here; allowed are RS256/,
    ],
    [`${none}.${body}.`, 'invalid_token', /not taken here/],
    [`${head}.${body}.${signature.split('').reverse().join('')}`, 'invalid_token', /signature/],
    ['eyJhbGciOiJFUzI1NiJ9.x.y', 'invalid_token', /JSON Web Token/],
    [await issuer.sign({ models: { a: 1 } }), 'invalid_token', /claim 'models' must be an array/],
    [await issuer.sign({ project: 7 }), 'invalid_token', /claim 'project' must be/],
    [await issuer.sign({ project: 'none such' }), 'invalid_token', /names 'none such'/],
  ]
  for (const [token, code, words] of cases) {
    await assert.rejects(
      chat(token),
      (error: { status: number; code: string; message: string }) => {
        assert.deepEqual([error.status, error.code], [401, code], error.message)
        assert.match(error.message, words)
        assert.ok(!error.message.includes(token.slice(20)))
        return true
      },
    )
  }
  // A little after it, since clocks differ.
  await chat(await issuer.sign({}, { expiresIn: -10 }))
  const records = await log.first(cases.length + 1)
  assert.ok(records.slice(0, -1).every(({ outcome }) => outcome === 'refused'))
})

test('keys are rotated: new ones are read when a token names one, withdrawn ones end', async (t) => {
  const { issuer, chat, clock } = await start(t)
  const old = await issuer.sign()
  await chat(old)
  await issuer.addKey('second', 'RS256')
  issuer.withdraw('first')
  const fresh = await issuer.sign()

  // Whoever sends unknown keys does not send us to the issuer each time.
  await assert.rejects(chat(fresh), { code: 'invalid_token' })
  const { length } = issuer.requests
  clock.ms += 10_000
  await chat(fresh)
  assert.equal(issuer.requests.length, length + 1)
  await assert.rejects(chat(old), { code: 'invalid_token' })
  for (let index = 0; index < 5; index++) {
    await assert.rejects(chat(await issuer.sign({}, { kid: 'first' })), { code: 'invalid_token' })
  }
  assert.equal(issuer.requests.length, length + 1)
})

test('a withdrawn key is noticed within minutes, although nobody names a new one', async (t) => {
  const { issuer, chat, clock } = await start(t)
  const token = await issuer.sign({}, { expiresIn: 7200 })
  await chat(token)
  issuer.withdraw('first')
  clock.ms += 9 * 60_000
  await chat(token)
  clock.ms += 60_000
  // This one has the keys read anew, and is not held up by it.
  await chat(token)
  for (let tries = 0; tries < 500; tries++) {
    const refusal = await chat(token).catch((error: { code: string }) => error)
    if ('code' in refusal) return assert.equal(refusal.code, 'invalid_token')
  }
  assert.fail('a withdrawn key is still taken')
})

test('while the issuer is away its known keys go on for the grace, and then it is 503', async (t) => {
  const { issuer, chat, clock } = await start(t)
  await chat(await issuer.sign())
  await issuer.goAway()
  clock.ms += 30 * 60_000
  const late = () => issuer.sign({}, { expiresIn: 24 * 3600 })
  await chat(await late())
  clock.ms += 45 * 60_000
  await assert.rejects(chat(await late()), { status: 503, code: 'key_check_unavailable' })
  await issuer.comeBack()
  clock.ms += 10_000
  await chat(await late())
})

test('an issuer that is away from the start is 503, and API keys work', async (t) => {
  const { issuer, chat, client, clock } = await start(t)
  await issuer.goAway()
  await assert.rejects(chat(await issuer.sign()), { status: 503, code: 'key_check_unavailable' })
  await client.chat.completions.create(CHAT)
  await issuer.comeBack()
  clock.ms += 10_000
  await chat(await issuer.sign())
})

test('a discovery document of somebody else is not believed', async (t) => {
  const { issuer, chat } = await start(t)
  issuer.claim('https://somebody.example')
  await assert.rejects(chat(await issuer.sign()), { status: 503, code: 'key_check_unavailable' })
})

test('keys are read where the settings say, and claims are called as they say', async (t) => {
  const elsewhere = await startIssuer(t)
  const { chat, keys, log } = await start(t, {
    issuer: 'https://login.example/tenant',
    jwksUrl: `${elsewhere.issuer}/keys`,
    claimNames: {
      ...CLAIMS,
      project: 'https://headrace/project',
      role: 'realm.roles',
      models: 'scope',
    },
  })
  keys.projects.set('search', {
    id: '11111111-0000-0000-0000-000000000000',
    name: 'search',
    limits: {},
    bodies: null,
  })
  const issuer = 'https://login.example/tenant'
  const claims = { 'https://headrace/project': 'search', scope: 'other guide@1' }
  await chat(await elsewhere.sign(claims, { issuer }), 'other')
  await assert.rejects(chat(await elsewhere.sign(claims, { issuer })), { code: 'model_not_found' })
  assert.equal((await log.first(2))[0]!.projectId, '11111111-0000-0000-0000-000000000000')
  assert.deepEqual(elsewhere.requests, ['/keys'])
})

test("a token's role opens the admin API, and its holder is named in the audit log", async (t) => {
  const issuer = await startIssuer(t)
  const { ask, pool, url } = await startAdmin(t, postgres, {
    settings: {
      issuer: {
        issuer: issuer.issuer,
        audience: AUDIENCE,
        jwksUrl: null,
        claimNames: { ...CLAIMS, role: 'realm.roles' },
      },
    },
  })
  const admin = await issuer.sign({ sub: 'root', realm: { roles: ['x', 'admin'] } })
  const caller = await issuer.sign({ realm: { roles: ['offline_access'] } })
  assert.equal((await ask('POST', '/admin/projects', { name: 'search' }, admin)).status, 201)
  assert.equal(
    errorOf(await ask('GET', '/admin/keys', undefined, caller)).code,
    'insufficient_role',
  )
  const [entry] = rowsOf(await ask('GET', '/admin/audit'))
  assert.deepEqual(entry?.['action'], 'project.create')
  assert.match(JSON.stringify(entry['actor']), /"root"/)

  // A project's limits and its end reach the holders of tokens too.
  const member = await issuer.sign({ project: 'search' })
  const models = () => fetch(`${url}/v1/models`, { headers: { authorization: `Bearer ${member}` } })
  assert.equal((await models()).status, 200)
  await ask('PATCH', '/admin/projects/search', { limits: { daily_tokens: 5 } })
  assert.deepEqual((await findProjectOfCallers(pool, 'search'))?.limits, { dailyTokens: 5 })
  await ask('DELETE', '/admin/projects/search')
  assert.equal((await models()).status, 401)
})
