// Keys, projects and the audit log on the command line, on a real PostgreSQL.

import assert from 'node:assert/strict'
import test from 'node:test'

import { startCommandLine } from '../support/command-line.ts'
import { recordChange } from '../../gateway/db/audit.ts'
import { usePostgres } from '../support/postgres.ts'

const postgres = usePostgres()

const parse = (text: string) => JSON.parse(text) as Record<string, unknown>

test('keys have all their fields on the command line, and the audit log says that it was it', async (t) => {
  const { run } = await startCommandLine(t, postgres)
  const project = await run('projects', 'create', 'search', '--monthly-usd', '500')
  assert.equal(project.text, 'search is made.\n')

  const limits = ['--requests-per-minute', '60', '--daily-usd', '2.5']
  const fields = ['--models', 'guide,small-*', '--expires', '30d', '--cache-seconds', '60']
  const more = ['--role', 'developer', '--tag', 'team=a', '--tag', 'stage=test', '--json']
  const created = await run(
    ...['keys', 'create', 'bot', '--project', 'search'].concat(limits, fields, more),
  )
  const made = parse(created.stdout)
  assert.match(String(made['key']), /^hr_[\w-]{43}$/)
  assert.deepEqual(made['limits'], { requests_per_minute: 60, daily_usd: 2.5 })
  assert.deepEqual(made['allowed_models'], ['guide', 'small-*'])
  assert.deepEqual(made['tags'], { team: 'a', stage: 'test' })
  const days = (Date.parse(String(made['expires_at'])) - Date.now()) / 86_400_000
  assert.ok(days > 29.9 && days <= 30, String(days))

  const changes = ['--daily-usd', 'none', '--models', 'all', '--expires', 'never', '--tag', 'team=']
  assert.equal((await run('keys', 'update', 'bot', ...changes)).text, 'bot is changed.\n')
  const shown = parse((await run('keys', 'show', 'bot')).stdout)
  assert.deepEqual(shown['limits'], { requests_per_minute: 60 })
  assert.deepEqual([shown['allowed_models'], shown['expires_at']], [null, null])
  assert.deepEqual(shown['tags'], { stage: 'test' })

  const rotated = await run('keys', 'rotate', 'bot', '--overlap', '12h')
  assert.match(rotated.stdout, /^hr_[\w-]{43}\n$/)
  assert.notEqual(rotated.stdout.trim(), made['key'])

  const audit = await run('audit', '--target', 'bot', '--json')
  const entries = JSON.parse(audit.stdout) as { action: string; actor: { via: string } }[]
  assert.deepEqual(
    entries.map(({ action, actor }) => [action, actor.via]),
    [
      ['key.rotate', 'command_line'],
      ['key.update', 'command_line'],
      ['key.create', 'command_line'],
    ],
  )
  const table = await run('audit')
  assert.match(
    table.stdout,
    /command line +key\.update +bot +allowed_models, expires_at, limits, tags/,
  )
  for (const secret of [String(made['key']), rotated.stdout.trim()]) {
    assert.ok(!(audit.text + table.text + JSON.stringify(shown)).includes(secret))
  }
})

test('what is not there is named, and nothing is changed', async (t) => {
  const { run } = await startCommandLine(t, postgres)
  for (const room of ['keys', 'projects']) {
    const { code, stderr } = await run(room, 'update', 'nothing', '--json')
    assert.deepEqual(
      [code, stderr],
      [2, 'headrace: Nothing is to change. --help lists what can be.\n'],
    )
  }
  for (const [args, words] of [
    [['keys', 'show', 'nobody'], /no valid key with the id or name 'nobody'/],
    [['keys', 'create', 'bot', '--project', 'none such'], /no project with the id or name/],
    [['projects', 'archive', 'nothing'], /no project with the id or name 'nothing'/],
  ] as const) {
    const { code, stderr } = await run(...args)
    assert.equal(code, 1)
    assert.match(stderr, words)
  }
  assert.equal((await run('audit')).stdout, 'Nothing was changed.\n')
})

test('policies of texts are set, and end users handed out and erased, on the command line', async (t) => {
  const { run } = await startCommandLine(t, postgres)
  await run('projects', 'create', 'support', '--bodies', 'redacted')
  const project = parse((await run('projects', 'show', 'support')).stdout)
  assert.equal(project['bodies'], 'redacted')
  await run('projects', 'update', 'support', '--bodies', 'default')
  assert.equal(parse((await run('projects', 'show', 'support')).stdout)['bodies'], null)
  const made = await run('keys', 'create', 'bot', '--bodies', 'none', '--json')
  assert.equal(parse(made.stdout)['bodies'], 'none')
  const wrong = await run('keys', 'update', 'bot', '--bodies', 'some')
  assert.match(wrong.text, /Allowed are whole, redacted, none and default/)

  assert.equal((await run('end-users', 'export', 'user-1')).stdout, '')
  const erased = await run('end-users', 'erase', 'user-1', '--project', 'support')
  assert.equal(erased.text, 'Erased: 0 exchanges (0 with texts), 0 responses, 0 feedback.\n')
  const audit = await run('audit', '--kind', 'end_user', '--json')
  const actions = (JSON.parse(audit.stdout) as { action: string }[]).map(({ action }) => action)
  assert.deepEqual(actions, ['end_user.erase', 'end_user.export'])
})

test('what a gateway did by itself is not told to be of the command line', async (t) => {
  const { run, pool } = await startCommandLine(t, postgres)
  // The first command makes the tables.
  await run('audit')
  const change = { kind: 'deployment', id: '1', name: 'guide', before: null, after: {} } as const
  await recordChange(
    pool,
    { id: null, name: 'headrace', via: 'gateway' },
    { ...change, action: 'deployment.rollback' },
  )
  assert.match((await run('audit')).stdout, /headrace +gateway +deployment\.rollback +guide/)
})
