import assert from 'node:assert/strict'
import { randomUUIDv7 } from 'node:crypto'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import test from 'node:test'
import type { TestContext } from 'node:test'

import { createProgram } from '../../cli/program.ts'
import { startServedFolder } from '../support/served-folder.ts'

async function start(t: TestContext, more: Record<string, string> = {}) {
  const { dataDir } = await startServedFolder(t)
  const run = async (...args: string[]) => {
    let text = ''
    const output = { write: (more: string) => (text += more) }
    const program = createProgram({
      release: '1.2.3',
      env: { HEADRACE_DATA_DIR: dataDir, ...more },
      stdout: output,
      stderr: output,
      writeBytes: () => Promise.resolve(),
      setExitCode: () => {},
    })
    await program.parseAsync(['feedback', ...args], { from: 'user' })
    return text
  }
  return { run, dataDir }
}

test('what was said of an answer is added to and listed', async (t) => {
  const { run } = await start(t)
  const id = randomUUIDv7()
  await run('add', `chatcmpl-${id}`, '--thumb', 'down', '--comment', 'Too long.')
  assert.match(await run('add', id, '--score', '2', '--end-user', 'ann'), /is kept/)

  const listed = await run('list', '--max-score', '3')
  assert.match(listed, new RegExp(`2 +ann +- +${id}`))
  assert.doesNotMatch(listed, /Too long/)
  const all = JSON.parse(await run('list', '--exchange', id, '--json')) as object[]
  assert.equal(all.length, 2)

  await assert.rejects(run('add', id), /Nothing is said/)
  await assert.rejects(run('add', 'x', '--thumb', 'up'), /There is no exchange 'x'/)
  await assert.rejects(run('add', id, '--score', '9'), { code: 'commander.invalidArgument' })
})

test("what is said at the command line is kept without what the operator's patterns find", async (t) => {
  const { run, dataDir } = await start(t, { HEADRACE_LOG_BODIES: 'redacted' })
  const yaml =
    "upstreams: { a: { api: openai, key: '${NOT_SET_HERE}' } }\nredact: { BADGE: 'EMP-\\d{6}' }\n"
  await writeFile(join(dataDir, 'headrace.yaml'), yaml)
  const id = randomUUIDv7()
  const comment = 'EMP-123456 wrote to jane@example.com.'
  const said = await run('add', id, '--thumb', 'down', '--comment', comment, '--json')
  assert.equal((JSON.parse(said) as { comment: string }).comment, '[BADGE_1] wrote to [EMAIL_1].')
})
