// What was said, found: words, phrases, the best first, and how far the index has come.

import assert from 'node:assert/strict'
import test from 'node:test'

import { errorOf, rowsOf } from '../../support/admin.ts'
import { startReading } from '../../support/exchange-reading.ts'
import { usePostgres } from '../../support/postgres.ts'

const postgres = usePostgres()

const asking = (content: string) => [{ role: 'user', content }]

test('words are found in prompts and answers, the best first, and marked', async (t) => {
  const { ask, write, indexWords } = await startReading(t, postgres)
  const [once, often] = await write(
    { prompt: asking('Where do otters sleep?'), answer: ['In the water.'] },
    {
      prompt: asking('What is an otter?'),
      answer: ['Otters are mammals. Otters swim, otters hold hands.'],
    },
    { prompt: asking('Where do foxes sleep?'), answer: ['In a den.'] },
  )
  await indexWords()
  const found = await ask('GET', '/admin/exchanges/search?q=OTTERS')
  assert.deepEqual(
    rowsOf(found).map((hit) => hit['id']),
    [often, once],
  )
  const [best, other] = rowsOf(found) as {
    highlights: Record<'prompt' | 'answer', string | null>
  }[]
  assert.match(best!.highlights.answer!, /«Otters» are mammals/)
  assert.equal(best!.highlights.prompt, null)
  assert.equal(other!.highlights.prompt, 'Where do «otters» sleep')
  assert.equal(found.body['indexed_until'], null)

  const search = async (q: string) =>
    rowsOf(await ask('GET', `/admin/exchanges/search?q=${encodeURIComponent(q)}`)).map(
      (hit) => hit['id'],
    )
  assert.deepEqual(await search('"hold hands"'), [often])
  assert.deepEqual(await search('"hands hold"'), [])
  assert.deepEqual(await search('otters -mammals'), [once])
  assert.equal((await search('den or water')).length, 2)
  assert.deepEqual(await search('!!'), [])
  assert.equal(errorOf(await ask('GET', '/admin/exchanges/search')).param, 'q')
  assert.equal(rowsOf(await ask('GET', '/admin/audit?action=exchange.search')).length > 0, true)
})

test('only what is new in an exchange is found', async (t) => {
  const { ask, write, indexWords } = await startReading(t, postgres)
  const history = [
    { role: 'system', content: 'You are a zookeeper.' },
    { role: 'user', content: 'Tell me of badgers.' },
    { role: 'assistant', content: 'Badgers dig.' },
    { role: 'user', content: [{ type: 'text', text: 'And of weasels?' }, { type: 'image_url' }] },
  ]
  const [id] = await write(
    { prompt: history, answer: ['Weasels hunt.'] },
    { prompt: 'A text about herons', answer: null },
    { prompt: ['first of storks', 'second of cranes'], answer: null },
    { prompt: null, answer: null, parameters: null },
  )
  await indexWords()
  const count = async (q: string) =>
    rowsOf(await ask('GET', `/admin/exchanges/search?q=${q}`)).length
  assert.equal(await count('badgers'), 0)
  assert.equal(await count('zookeeper'), 0)
  assert.equal(await count('herons'), 1)
  assert.equal(await count('cranes'), 1)
  const [hit] = rowsOf(await ask('GET', '/admin/exchanges/search?q=weasels'))
  assert.equal(hit?.['id'], id)
})

test('a search says up to when everything is found, and takes the filters of lists', async (t) => {
  const { ask, write, indexWords, makeKey } = await startReading(t, postgres)
  await ask('POST', '/admin/projects', { name: 'zoo' })
  const projectId = String((await ask('GET', '/admin/projects/zoo')).body['id'])
  const [own] = await write(
    { prompt: asking('lynx'), projectId },
    { prompt: asking('lynx'), model: 'other' },
  )
  const before = await ask('GET', '/admin/exchanges/search?q=lynx')
  assert.deepEqual(rowsOf(before), [])
  assert.ok(Date.parse(String(before.body['indexed_until'])) <= Date.now())
  await indexWords()
  const search = async (query: string, key?: string) =>
    rowsOf(await ask('GET', `/admin/exchanges/search?q=lynx${query}`, undefined, key))
  assert.equal((await search('')).length, 2)
  assert.equal((await search('&model=other')).length, 1)
  assert.equal((await search('&to=2026-01-01T00:00:00Z')).length, 0)
  assert.equal((await search('&limit=1&offset=1')).length, 1)
  const { key } = await makeKey({ name: 'dev', role: 'developer', project: 'zoo' })
  assert.deepEqual(
    (await search('', key)).map((hit) => hit['id']),
    [own],
  )
})

test('an exchange whose text is refused stays without words, and the others are found', async (t) => {
  const { ask, write, indexWords, pool, warnings } = await startReading(t, postgres)
  const [bad] = await write({ prompt: asking('heron one') }, { prompt: asking('heron two') })
  await pool.query(
    `CREATE OR REPLACE FUNCTION new_in_prompt(json) RETURNS text LANGUAGE sql IMMUTABLE AS
     $$ SELECT CASE WHEN $1::text LIKE '%one%' THEN (1 / (length($1::text) - length($1::text)))::text ELSE $1::text END $$`,
  )
  await indexWords()
  const left = warnings.map(({ context }) => 'exchange' in context && context.exchange)
  assert.deepEqual(left, [bad])
  const { rows } = await pool.query(
    'SELECT id, words IS NULL AS none FROM exchange_words ORDER BY id',
  )
  assert.equal(rows.length, 2)
  assert.equal((await ask('GET', '/admin/exchanges/search?q=two')).body['ranked'], 1)
})

test('words are taken by one gateway at a time, and again from where another one stopped', async (t) => {
  const { ask, write, indexWords, pool } = await startReading(t, postgres)
  await write({ prompt: asking('kestrel') }, { prompt: asking('kestrel') })
  await Promise.all([indexWords(), indexWords()])
  // As if it had been stopped before it could say that it was done.
  await pool.query('UPDATE exchange_arrivals SET is_indexed = false')
  await indexWords()
  assert.equal(rowsOf(await ask('GET', '/admin/exchanges/search?q=kestrel')).length, 2)
})

test('where words are not wanted nothing is indexed, and a search says so', async (t) => {
  const { ask, write, indexWords, pool } = await startReading(t, postgres, {
    searchLanguage: 'none',
  })
  await write({ prompt: asking('Where do otters sleep?') })
  await indexWords()
  const refused = errorOf(await ask('GET', '/admin/exchanges/search?q=otters'))
  assert.deepEqual([refused.status, refused.code], [409, 'search_off'])
  const { rows } = await pool.query(
    `SELECT (SELECT count(*)::int FROM exchange_words) AS words,
       (SELECT count(*)::int FROM exchange_arrivals WHERE NOT is_indexed) AS waiting`,
  )
  assert.deepEqual(rows, [{ words: 0, waiting: 0 }])
})
