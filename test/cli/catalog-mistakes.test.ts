// What the commands of the catalog make of mistakes: each is said, and none is taken for something else.

import assert from 'node:assert/strict'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import test from 'node:test'
import type { TestContext } from 'node:test'

import { asTable } from '../../cli/table.ts'
import { startCommandLine } from '../support/command-line.ts'
import { usePostgres } from '../support/postgres.ts'

const postgres = usePostgres()

async function startSupport(t: TestContext) {
  const { run, dataDir } = await startCommandLine(t, postgres)
  const catalog = (...args: string[]) => run('catalog', ...args)
  assert.equal((await catalog('add', 'support')).code, 0)
  return { run: catalog, dataDir }
}

test('a command that makes no sense is refused in words, with the code for it', async (t) => {
  const { run, dataDir } = await startSupport(t)
  const bad = join(dataDir, 'bad.json')
  await writeFile(bad, '{"input":"a"}')
  const { id } = JSON.parse((await run('note', 'support', 'Hello.', '--json')).stdout) as {
    id: string
  }
  const mistakes: [string[], RegExp][] = [
    [['set', 'support'], /Nothing is to change/],
    [['set', 'support', '--price', bad], /price\.input is "a": must be/],
    [['add', 'Bad Name'], /name is "Bad Name": must be lower-case letters, digits/],
    [['evaluate', 'support@1', '--dataset', 'faq'], /--dataset, --metric and --value; or --file/],
    [['evaluate', 'support@1', '--file', bad, '--dataset', 'faq'], /cannot be used with/],
    [['attach', id, join(dataDir, 'nowhere.png')], /can't be read: ENOENT/],
    [['attach', id, dataDir], /can't be read: EISDIR/],
  ]
  for (const [words, said] of mistakes) {
    const { code, text } = await run(...words)
    assert.equal(code, 2, `${words.join(' ')}: ${text}`)
    assert.match(text, said)
  }
  assert.match((await run('card', 'suport')).text, /no model 'suport'\. Did you mean 'support'\?/)
  for (const command of ['notes', 'evaluations']) {
    const { code, text } = await run(command, 'support@7')
    assert.deepEqual([code, text], [1, "headrace: The catalog has no version 'support@7'.\n"])
  }
})

test('what was said is taken away by none, prices and limits too', async (t) => {
  const { run, dataDir } = await startSupport(t)
  const [price, limits] = [join(dataDir, 'price.json'), join(dataDir, 'limits.json')]
  await writeFile(price, '{"input":0.075,"output":0.3}')
  await writeFile(limits, '{"context_tokens":2048}')
  const said = async () => {
    const shown = JSON.parse((await run('show', 'support')).stdout) as Record<string, unknown>
    return [shown['owner'], shown['price'], shown['limits']]
  }
  await run('set', 'support', '--owner', 'Ada', '--price', price, '--limits', limits)
  const whole = ['Ada', { input: 0.075, output: 0.3 }, { context_tokens: 2048 }]
  assert.deepEqual(await said(), whole)
  await run('set', 'support', '--owner', 'none', '--price', 'none', '--limits', 'none')
  assert.deepEqual(await said(), [null, null, {}])
})

test('a table has no control characters, which a terminal would obey', () => {
  const table = asTable(['SAID'], [['red \u001b[31m\u009b2J\u0007']])
  assert.equal(table, 'SAID\nred \u{fffd}[31m\u{fffd}2J\u{fffd}')
})
