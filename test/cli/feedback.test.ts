import assert from 'node:assert/strict'
import { randomUUIDv7 } from 'node:crypto'
import test from 'node:test'

import { createProgram } from '../../cli/program.ts'
import { startServedFolder } from '../support/served-folder.ts'

test('what was said of an answer is added to and listed', async (t) => {
  const { dataDir } = await startServedFolder(t)
  const run = async (...args: string[]) => {
    let text = ''
    const output = { write: (more: string) => (text += more) }
    const program = createProgram({
      release: '1.2.3',
      env: { HEADRACE_DATA_DIR: dataDir },
      stdout: output,
      stderr: output,
      writeBytes: () => Promise.resolve(),
      setExitCode: () => {},
    })
    await program.parseAsync(['feedback', ...args], { from: 'user' })
    return text
  }
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
