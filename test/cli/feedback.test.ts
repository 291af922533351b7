import assert from 'node:assert/strict'
import { randomUUIDv7 } from 'node:crypto'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import test from 'node:test'
import type { TestContext } from 'node:test'

import { startCommandLine } from '../support/command-line.ts'
import { usePostgres } from '../support/postgres.ts'

const postgres = usePostgres()

async function start(t: TestContext, env: Record<string, string> = {}) {
  const { run, dataDir } = await startCommandLine(t, postgres, env)
  return { run: (...args: string[]) => run('feedback', ...args), dataDir }
}

test('what was said of an answer is added to and listed', async (t) => {
  const { run } = await start(t)
  const id = randomUUIDv7()
  await run('add', `chatcmpl-${id}`, '--thumb', 'down', '--comment', 'Too long.')
  assert.match((await run('add', id, '--score', '2', '--end-user', 'ann')).stdout, /is kept/)

  const { stdout: listed } = await run('list', '--max-score', '3')
  assert.match(listed, new RegExp(`2 +ann +- +${id}`))
  assert.doesNotMatch(listed, /Too long/)
  const all = JSON.parse((await run('list', '--exchange', id, '--json')).stdout) as object[]
  assert.equal(all.length, 2)

  for (const [args, code, words] of [
    [['add', id], 1, /Nothing is said/],
    [['add', 'x', '--thumb', 'up'], 1, /There is no exchange 'x'/],
    [['add', id, '--score', '9'], 2, /--score/],
  ] as const) {
    const refused = await run(...args)
    assert.equal(refused.code, code)
    assert.match(refused.stderr, words)
  }
})

test("what is said at the command line is kept without what the operator's patterns find", async (t) => {
  const { run, dataDir } = await start(t, { HEADRACE_LOG_BODIES: 'redacted' })
  const yaml =
    "upstreams: { a: { api: openai, key: '${NOT_SET_HERE}' } }\nredact: { BADGE: 'EMP-\\d{6}' }\n"
  await writeFile(join(dataDir, 'headrace.yaml'), yaml)
  const id = randomUUIDv7()
  const comment = 'EMP-123456 wrote to jane@example.com.'
  const { stdout: said } = await run('add', id, '--thumb', 'down', '--comment', comment, '--json')
  assert.equal((JSON.parse(said) as { comment: string }).comment, '[BADGE_1] wrote to [EMAIL_1].')
})
