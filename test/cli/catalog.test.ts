// The catalog on the command line, on a real PostgreSQL and real version folders.

import assert from 'node:assert/strict'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import test from 'node:test'
import type { TestContext } from 'node:test'

import { ModelStore } from '../../models/store.ts'
import { publishVersion } from '../models/scratch.ts'
import { startCommandLine } from '../support/command-line.ts'
import { usePostgres } from '../support/postgres.ts'

const postgres = usePostgres()

async function startLibrary(t: TestContext) {
  const { run, dataDir } = await startCommandLine(t, postgres)
  const store = new ModelStore(dataDir)
  await publishVersion(store, 'guide')
  await publishVersion(store, 'guide')
  const file = async (name: string, content: string) => {
    await writeFile(join(dataDir, name), content)
    return join(dataDir, name)
  }
  return { run: (...args: string[]) => run('catalog', ...args), file }
}

test('a model is described, evaluated, noted and told of on the command line', async (t) => {
  const { run, file } = await startLibrary(t)
  const about = await file('about.md', 'Answers *questions*.')
  const said = await run('set', 'guide', '--description', `@${about}`, '--tag', 'team=a')
  assert.equal(said.text, 'guide is changed.\n')
  const data = await file('data.json', '[{"name": "faq", "size": 12}]')
  const facts = ['--base-model', 'smol', '--training-data', data]
  assert.equal((await run('describe', 'guide@2', ...facts)).text, 'guide@2 is described.\n')
  const again = await run('describe', 'guide@2', '--base-model', 'other')
  assert.deepEqual(
    [again.code, /'base_model' of guide@2 was said already/.test(again.text)],
    [1, true],
  )
  const wrong = await run('describe', 'guide@1', '--training-data', await file('x.json', '[{}]'))
  assert.match(wrong.text, /training_data\.0\.name must be there/)

  const evaluation = ['--dataset', 'faq', '--metric', 'loss', '--value', '1.5', '--lower-is-better']
  assert.equal(
    (await run('evaluate', 'guide@2', ...evaluation)).text,
    'The evaluation of guide@2 is kept.\n',
  )
  const noted = await run('note', 'guide@2', 'It was down.', '--kind', 'incident', '--json')
  const { id } = JSON.parse(noted.stdout) as { id: string }
  assert.equal((await run('attach', id, about)).code, 0)
  assert.match((await run('notes', 'guide', '--search', 'down')).stdout, /guide@2 +incident +\w+ +/)
  const notes = JSON.parse((await run('notes', 'guide@2', '--json')).stdout) as {
    attachments: { name: string }[]
  }[]
  assert.equal(notes[0]?.attachments[0]?.name, 'about.md')

  const { stdout: card } = await run('card', 'guide')
  for (const part of ['`guide@2`', 'Answers *questions*.', '**1.5**', '### Incident', '| faq |']) {
    assert.ok(card.includes(part), `${part} is not in ${card}`)
  }
  assert.match((await run('card', 'guide@1', '--html')).stdout, /^<!doctype html>[\s\S]*guide@1/)
})

test('versions are listed, archived and taken back, the live one excepted', async (t) => {
  const { run } = await startLibrary(t)
  assert.match(
    (await run('versions', 'guide')).stdout,
    /guide@2 +ready +live +int8[^]*guide@1 +ready +- /,
  )
  assert.equal((await run('archive', 'guide@1')).text, 'guide@1 is archived.\n')
  const live = await run('archive', 'guide@2')
  assert.deepEqual([live.code, /it is the newest version of guide/.test(live.text)], [1, true])
  const archived = await run('versions', 'guide', '--state', 'archived', '--json')
  assert.deepEqual(
    (JSON.parse(archived.stdout) as { id: string }[]).map(({ id }) => id),
    ['guide@1'],
  )
  assert.equal((await run('ready', 'guide@1')).text, 'guide@1 is ready.\n')
  assert.equal((await run('add', 'support', '--task', 'chat')).text, 'support is in the catalog.\n')
  assert.match((await run('list')).stdout, /guide +- +- +2 +guide@2 +Apache-2.0\nsupport +chat/)
  const unknown = await run('show', 'guide@9')
  assert.deepEqual([unknown.code, unknown.stderr.includes("no version 'guide@9'")], [1, true])
  assert.equal((await run('show', 'Guide!')).code, 2)
})

test('a model is shown with how its live version does, and says what is required of the next', async (t) => {
  const { run } = await startLibrary(t)
  const shown = JSON.parse((await run('show', 'guide')).stdout) as {
    live_metrics: { version: string; requests: number }[]
  }
  assert.deepEqual(
    shown.live_metrics.map(({ version, requests }) => [version, requests]),
    [['guide@2', 0]],
  )
  const version = JSON.parse((await run('show', 'guide@1')).stdout) as typeof shown & {
    live_metrics: { error_rate: null }
  }
  assert.equal(version.live_metrics.error_rate, null)

  assert.equal((await run('require', 'guide')).text, 'Nothing is required.\n')
  const bounds = ['--min', 'a:b:f1=0.9', '--max', 'a:b:f1=1', '--max', 'faq:loss=1.2']
  const said = await run('require', 'guide', ...bounds)
  assert.match(said.stdout, /a:b +f1 +0\.9 +1\nfaq +loss +- +1\.2/)
  const changed = await run('require', 'guide', '--min', 'faq:loss=0.1', '--drop', 'a:b:f1')
  assert.match(changed.stdout, /AT MOST\nfaq +loss +0\.1 +1\.2\n$/)
  const kept = JSON.parse((await run('require', 'guide', '--json')).stdout) as object
  const requirements = [{ dataset: 'faq', metric: 'loss', min: 0.1, max: 1.2 }]
  assert.deepEqual(kept, { object: 'requirements', model: 'guide', requirements })
  assert.equal((await run('require', 'guide', '--min', 'f1')).code, 2)
  const none = await run('require', 'guide', '--min', 'faq:loss=2')
  assert.match(none.text, /faq:loss can't be at least 2 and at most 1\.2/)
  assert.equal(
    (await run('require', 'guide', '--min', 'faq:loss=2', '--max', 'faq:loss=3')).code,
    0,
  )
  const dropped = await run('require', 'guide', '--drop', 'faq:f1')
  assert.equal(dropped.code, 2)
  assert.match(dropped.text, /faq:f1 is not required/)
  assert.match((await run('require', 'nobody')).text, /nobody/)
})
