import assert from 'node:assert/strict'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import test from 'node:test'

import { ConfigError, loadConfig, presumeConfig } from '../../gateway/settings/config.ts'
import { SETTINGS } from '../../gateway/settings/settings.ts'
import { makeFolder } from '../support/folder.ts'
import type { Setting } from '../../gateway/settings/setting-kinds.ts'

function problemsOf(env: NodeJS.ProcessEnv): string[] {
  try {
    loadConfig(env)
  } catch (error) {
    assert.ok(error instanceof ConfigError)
    return error.problems
  }
  return []
}

test('without any variable every setting has its default', () => {
  const settings = loadConfig({ PATH: '/bin' })
  assert.equal(settings.host, '127.0.0.1')
  assert.equal(settings.port, 8080)
  assert.equal(settings.precision, 'int8')
  assert.equal(settings.adminKey, null)
  assert.ok(settings.dataDir.endsWith('/data') && settings.dataDir.startsWith('/'))
})

test('every default is allowed by its own entry of the schema', () => {
  for (const { name, default: byDefault, read } of Object.values(SETTINGS)) {
    if (byDefault !== null) assert.notEqual(read(byDefault), undefined, name)
  }
})

test('wrong settings are told all at once, each with its variable, what was given and what is allowed', () => {
  const problems = problemsOf({
    HEADRACE_PORT: '80800',
    HEADRACE_PRECISION: 'fp64',
    HEADRACE_BODY_LIMIT_BYTES: '1e6',
    RUNTIME_URLS: 'http://one:1,ftp://two',
    DATABASE_URL: 'mysql://root:hunter2@db/app',
  })
  assert.equal(problems.length, 5)
  assert.ok(
    problems.includes("HEADRACE_PORT is '80800'; allowed is a whole number from 0 to 65535."),
  )
  assert.ok(
    problems.includes(
      "HEADRACE_PRECISION is 'fp64'; allowed is one of fp32, int8, int4, fp16, int4-fp16.",
    ),
  )
})

test('a secret that is refused is not shown', () => {
  const problems = problemsOf({
    HEADRACE_ADMIN_KEY: 'hunter2',
    DATABASE_URL: 'mysql://root:hunter2@db/app',
  })
  assert.equal(problems.length, 2)
  assert.ok(!problems.join().includes('hunter2'))
  assert.match(problems.join(), /HEADRACE_ADMIN_KEY is \*\*\* \(7 characters\)/)
})

test('a variable that nobody knows is a problem, with what was probably meant', () => {
  assert.deepEqual(problemsOf({ HEADRACE_PROT: '9000' }), [
    'HEADRACE_PROT is no setting; did you mean HEADRACE_PORT?',
  ])
  assert.deepEqual(
    problemsOf({ HEADRACE_DATABASE_URL: 'postgresql://db/app', HEADRACE_FOO: '1' }),
    [
      'HEADRACE_DATABASE_URL is no setting; did you mean DATABASE_URL?',
      'HEADRACE_FOO is no setting; docs/settings.md lists those that are.',
    ],
  )
  assert.match(
    problemsOf({ HEADRACE_TELEPORTATION: 'on' })[0]!,
    /is no setting; docs\/settings\.md lists/,
  )
})

test('a variable that is set but empty counts as not set', () => {
  assert.equal(loadConfig({ HEADRACE_PORT: '', HEADRACE_METRICS_TOKEN: ' ' }).port, 8080)
})

test('a runtime that other machines can reach needs a token', () => {
  const open = { HEADRACE_RUNTIME_LISTEN: 'http://0.0.0.0:8090' }
  assert.match(problemsOf(open)[0]!, /HEADRACE_RUNTIME_TOKEN has to be set/)
  assert.deepEqual(problemsOf({ ...open, HEADRACE_RUNTIME_TOKEN: 'a-token-that-is-long' }), [])
  assert.deepEqual(problemsOf({ HEADRACE_RUNTIME_LISTEN: 'http://[::1]:8090' }), [])
})

test('what is presumed for help texts is the default where a setting is wrong', () => {
  const settings = presumeConfig({ HEADRACE_PORT: 'x', HEADRACE_PRECISION: 'int4', HEADRACE_X: '' })
  assert.equal(settings.port, 8080)
  assert.equal(settings.precision, 'int4')
})

test('an issuer of tokens needs an audience, and a way that nobody can sit on', () => {
  const right = {
    HEADRACE_OIDC_ISSUER: 'https://login.example/tenant',
    HEADRACE_OIDC_AUDIENCE: 'headrace',
  }
  assert.deepEqual(problemsOf(right), [])
  assert.deepEqual(problemsOf({ ...right, HEADRACE_OIDC_ISSUER: 'http://127.0.0.1:9000' }), [])
  assert.match(
    problemsOf({ ...right, HEADRACE_OIDC_JWKS_URL: 'http://login.example/keys' }).join(),
    /HEADRACE_OIDC_JWKS_URL is 'http:\/\/login.example\/keys'; .* allowed is https:\/\//,
  )
  assert.deepEqual(problemsOf({ HEADRACE_OIDC_ISSUER: right.HEADRACE_OIDC_ISSUER }), [
    'HEADRACE_OIDC_ISSUER is set; HEADRACE_OIDC_AUDIENCE has to be set then.',
  ])
  assert.deepEqual(problemsOf({ HEADRACE_OIDC_AUDIENCE: 'headrace' }), [
    'HEADRACE_OIDC_AUDIENCE is set; HEADRACE_OIDC_ISSUER has to be set then.',
  ])
})

test('every secret may be in a file that its variable with _FILE names', async (t) => {
  const folder = await makeFolder(t, 'secrets')
  const shapes: Record<string, string> = {
    DATABASE_URL: 'postgresql://headrace:secret@postgres:5432/headrace',
    HEADRACE_SECRET_KEY: Buffer.alloc(32, 1).toString('base64'),
    LOG_BROKER_URL: 'amqp://headrace:secret@rabbitmq/logs',
    HEADRACE_EXPORT_URL: 'file:///exports',
    REDIS_URL: 'redis://:secret@redis:6379',
    OTEL_EXPORTER_OTLP_HEADERS: 'authorization=secret',
  }
  const secrets = Object.values<Setting<unknown>>(SETTINGS).filter(({ isSecret }) => isSecret)
  const texts = Object.fromEntries(
    secrets.map(({ name }) => [name, shapes[name] ?? 'a-secret-of-the-test']),
  )
  const env: NodeJS.ProcessEnv = {}
  for (const [name, text] of Object.entries(texts)) {
    env[`${name}_FILE`] = join(folder, name)
    await writeFile(join(folder, name), `${text}\n`)
  }
  assert.deepEqual(loadConfig(env), loadConfig(texts))
})

test('a file of a secret that can not be used is told with the path, and never with a text', async (t) => {
  const folder = await makeFolder(t, 'secrets')
  const [absent, empty, short] = ['absent', 'empty', 'short'].map((name) => join(folder, name))
  await writeFile(empty!, '\n')
  await writeFile(short!, 'hunter2')
  const problems = problemsOf({
    DATABASE_URL_FILE: absent,
    REDIS_URL_FILE: empty,
    HEADRACE_ADMIN_KEY_FILE: short,
    HEADRACE_METRICS_TOKEN: 'a-token-for-the-metrics',
    HEADRACE_METRICS_TOKEN_FILE: short,
    HEADRACE_RUNTIME_TOKEN_FILE: folder,
    HEADRACE_PORT_FILE: short,
  })
  assert.equal(problems.length, 6, problems.join('\n'))
  assert.ok(!problems.join().includes('hunter2'))
  const told = (pattern: RegExp) => assert.ok(problems.some((each) => pattern.test(each)))
  told(/^DATABASE_URL_FILE is '.*absent': there is no such file; allowed is the path of a file/)
  told(/^REDIS_URL_FILE is '.*empty': it is empty/)
  told(/^HEADRACE_RUNTIME_TOKEN_FILE is '.*': it is no file/)
  told(/^HEADRACE_METRICS_TOKEN and HEADRACE_METRICS_TOKEN_FILE are both set; allowed is one\.$/)
  told(/^HEADRACE_ADMIN_KEY is \*\*\* \(7 characters\)/)
  told(/^HEADRACE_PORT_FILE is no setting/)
})
