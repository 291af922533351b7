// What versions are worth, and the card that tells it: evaluations, live figures, and hostile notes.

import assert from 'node:assert/strict'
import { hash, randomUUIDv7 } from 'node:crypto'
import test from 'node:test'

import MarkdownIt from 'markdown-it'

import { publishVersion } from '../../models/scratch.ts'
import { errorOf, rowsOf } from '../../support/admin.ts'
import { startCatalog } from '../../support/catalog.ts'
import { openExchangeLog } from '../../support/exchange-log.ts'
import { exchangeAt } from '../../support/exchange-record.ts'
import { ADMIN_KEY } from '../../support/gateway.ts'
import { usePostgres } from '../../support/postgres.ts'
import { lowestIdAt } from '../../../gateway/db/partitions.ts'
import type { Pool } from '../../../gateway/db/pool.ts'
import type { TestContext } from 'node:test'

const postgres = usePostgres()
const MODEL = '/admin/catalog/models/guide'

async function startCards(t: TestContext) {
  const catalog = await startCatalog(t, postgres)
  await publishVersion(catalog.store, 'guide')
  await publishVersion(catalog.store, 'guide')
  await catalog.registrar.sync()
  const evaluate = (version: number, evaluations: object[]) =>
    catalog.ask('POST', `${MODEL}/versions/${version}/evaluations`, { evaluations })
  const card = async (path: string, accept?: string) => {
    const headers = { authorization: `Bearer ${ADMIN_KEY}`, ...(accept && { accept }) }
    const answer = await fetch(`${catalog.url}${MODEL}/card${path}`, { headers })
    return { status: answer.status, headers: answer.headers, text: await answer.text() }
  }
  return { ...catalog, evaluate, card }
}

test('evaluations are told in batches, and listed by version, dataset and metric', async (t) => {
  const { ask, evaluate } = await startCards(t)
  const f1 = { dataset: 'tickets', split: 'test', metric: 'f1', value: 0.91, sample_size: 500 }
  const loss = {
    dataset: 'tickets',
    metric: 'loss',
    value: 1.2,
    higher_is_better: false,
    run: 'r7',
  }
  const told = await evaluate(2, [f1, { ...loss, measured_at: '2026-03-01T00:00:00Z' }])
  assert.equal(told.status, 201)
  await evaluate(1, [{ ...f1, value: 0.85 }])
  const [second] = rowsOf(await ask('GET', `${MODEL}/versions/2/evaluations?metric=loss`))
  assert.deepEqual(
    [second?.['version'], second?.['split'], second?.['higher_is_better'], second?.['run']],
    ['guide@2', null, false, 'r7'],
  )
  assert.equal(second?.['measured_at'], '2026-03-01T00:00:00.000Z')
  assert.equal(second?.['measured_by'], 'admin')
  const all = rowsOf(await ask('GET', `${MODEL}/evaluations?dataset=tickets&metric=f1`))
  assert.deepEqual(
    all.map((each) => [each['version'], each['value'], each['sample_size']]),
    [
      ['guide@1', 0.85, 500],
      ['guide@2', 0.91, 500],
    ],
  )
  const future = new Date(Date.now() + 86_400_000).toISOString()
  const wrong: [object, string][] = [
    [{ ...f1, value: '0.9' }, 'evaluations[0].value'],
    [{ metric: 'f1', value: 1 }, 'evaluations[0].dataset'],
    [{ ...f1, sample_size: 0 }, 'evaluations[0].sample_size'],
    [{ ...f1, sample_size: 1e30 }, 'evaluations[0].sample_size'],
    [{ ...f1, measured_at: future }, 'evaluations[0].measured_at'],
  ]
  for (const [draft, param] of wrong) {
    const refused = errorOf(await evaluate(2, [draft]))
    assert.deepEqual([refused.status, refused.param], [400, param], refused.message)
  }
  assert.equal(errorOf(await evaluate(9, [f1])).code, 'version_not_found')
})

test('the figures of a version in service are those of its exchanges and of what was said of them', async (t) => {
  const { ask, pool } = await startCards(t)
  const { log } = await openExchangeLog(t, pool)
  const at = '2026-03-01T10:10:00Z'
  const own = { model: 'guide', version: 'guide@2', completionTokens: 3_600 }
  log.append(exchangeAt(at, { ...own, costUsd: 0.25, totalMs: 1_000, timeToFirstTokenMs: 100 }))
  log.append(
    exchangeAt('2026-03-01T12:00:00Z', { ...own, totalMs: 1_000, timeToFirstTokenMs: 100 }),
  )
  log.append(exchangeAt(at, { ...own, outcome: 'failed', completionTokens: 0 }))
  log.append(exchangeAt(at, { ...own, outcome: 'refused', completionTokens: 0 }))
  log.append(exchangeAt(at, { ...own, version: 'guide@1' }))
  await log.flush()
  await insertFeedback(pool, 'guide@2', at, [5, 4])
  await insertFeedback(pool, 'guide@1', at, [1])

  const span = 'from=2026-03-01T10:00:00Z&to=2026-03-01T14:00:00Z'
  const { body } = await ask('GET', `${MODEL}/versions/2/metrics?${span}`)
  assert.deepEqual(
    [body['requests'], body['requests_per_hour'], body['refused'], body['cost_usd']],
    [4, 1, 1, 0.25],
  )
  assert.ok(Math.abs(Number(body['error_rate']) - 1 / 3) < 1e-9)
  assert.equal(body['tokens_per_second'], 1)
  const total = body['total_ms'] as { p50: number; p95: number }
  assert.ok(total.p50 >= 700 && total.p95 <= 1_500, JSON.stringify(total))
  assert.deepEqual(body['feedback'], { given: 2, mean_score: 4.5, thumbs_up: 0, thumbs_down: 0 })

  const none = await ask(
    'GET',
    `${MODEL}/versions/1/metrics?from=2020-01-01T00:00:00Z&to=2020-01-02T00:00:00Z`,
  )
  assert.deepEqual(
    [none.body['requests'], none.body['error_rate'], none.body['total_ms']],
    [0, null, null],
  )
})

test('a card tells of the live version, beside the one before it, in Markdown and as a page', async (t) => {
  const { ask, evaluate, card } = await startCards(t)
  await ask('PATCH', MODEL, {
    description: '# Guide\nAnswers *questions*.',
    owner: 'Ada | Bob',
    tags: { team: 'a' },
    price: { input: 0.5, cached_input: 0.0375, output: 1.125 },
  })
  const facts = { base_model: 'smol', training_data: [{ name: 'faq', size: 1200, split: 'train' }] }
  await ask('PATCH', `${MODEL}/versions/2`, { ...facts, hyperparameters: { lr: 0.0001 } })
  await evaluate(1, [{ dataset: 'faq', metric: 'f1', value: 0.8 }])
  await evaluate(2, [{ dataset: 'faq', metric: 'f1', value: 0.5 }])
  await evaluate(2, [{ dataset: 'faq', metric: 'f1', value: 0.9 }])
  const note = { kind: 'incident', title: 'Down', text: '## Why\nA cable.', version: 2 }
  await ask('POST', `${MODEL}/notes`, note)

  const { text, headers } = await card('')
  assert.match(String(headers.get('content-type')), /^text\/markdown/)
  assert.match(text, /^# guide\n/)
  const wanted = [
    '| **Version** | `guide@2`, ready |',
    '| **Traffic** | the newest version of guide |',
    '| **Owner** | Ada \\| Bob |',
    '### Guide\nAnswers *questions*.',
    '| faq | train | 1,200 |  |',
    '| lr | `0.0001` |',
    '| faq | f1\u00a0↑ | **0.9** | 0.8 | +0.1\u00a0(+12.5\u00a0%)\u00a0✓ |',
    '### Incident: Down',
    '##### Why\nA cable.',
    '| Prompt that was cached, a million tokens | $0.0375 |',
    '| Answer, a million tokens | $1.125 |',
  ]
  for (const part of wanted) assert.ok(text.includes(part), `${part}\n\nis not in\n\n${text}`)

  assert.match((await card('?version=1')).text, /\| \*\*Version\*\* \| `guide@1`, ready \|/)
  const { text: html } = await card('.html')
  assert.match(html, /<title>guide: model card<\/title>/)
  assert.match(html, /<td>Ada \| Bob<\/td>/)
  assert.match(html, /<li><a href="#part-\d+">Evaluations<\/a><\/li>/)
  assert.equal(
    (await card('', 'text/html,application/xml;q=0.9,*/*;q=0.8')).text.slice(0, 9),
    '<!doctype',
  )
  assert.match(String((await card('.md', 'text/html')).headers.get('content-type')), /markdown/)
  assert.equal((await card('?version=9')).status, 404)
})

test('whatever is written into the catalog, the page runs nothing and loads nothing', async (t) => {
  const { ask, evaluate, card } = await startCards(t)
  const hostile = [
    '<script>alert(1)</script>',
    '<img src=x onerror=alert(1)>',
    '[a](javascript:alert(1)) [b](JaVaScRiPt:alert(1)) [c](&#106;avascript:alert(1)) [d](data:text/html,x) [e](//evil.example)',
    '![p](https://evil.example/pixel.png) ![q](javascript:alert(1))',
    '<https://evil.example/"onmouseover=alert(1)>',
    '[x]: javascript:alert(1)\n[x]',
    '"><svg onload=alert(1)>',
    '</main></body><iframe src="https://evil.example"></iframe>',
    '<!-- \n<style>*{display:none}</style>',
    'a \u001b[31mterminal\u0007',
    '```\nan open fence <b>',
  ].join('\n\n')
  const line = '</title><script>alert(1)</script>|`"\'&lt;'
  await ask('PATCH', MODEL, {
    description: hostile,
    user_guide: hostile,
    owner: line,
    task: line,
    tags: { '<b>': line },
  })
  await ask('PATCH', `${MODEL}/versions/2`, {
    base_model: line,
    change_note: hostile,
    hyperparameters: { [line]: line },
  })
  await ask('POST', `${MODEL}/notes`, { kind: 'other', title: line, text: hostile })
  await evaluate(2, [{ dataset: line, metric: line, value: 1, measured_by: line }])

  const { text: html, headers } = await card('.html')
  const policy = String(headers.get('content-security-policy'))
  const style = /<style>([\s\S]*?)<\/style>/.exec(html)![1]!
  assert.match(policy, /^default-src 'none'; /)
  assert.ok(policy.includes(`style-src 'sha256-${hash('sha256', style, 'base64')}'`))
  assert.ok(!policy.includes('unsafe'))
  assert.equal(headers.get('x-content-type-options'), 'nosniff')

  const body = html.slice(html.indexOf('<body>'))
  const tags = new Set([...body.matchAll(/<\/?([a-zA-Z][\w-]*)/g)].map(([, name]) => name))
  const known =
    'body nav ul li a main h1 h2 h3 h4 h5 h6 p em strong div table thead tbody tr th td code pre hr html time'.split(
      ' ',
    )
  assert.deepEqual(
    [...tags].filter((name) => !known.includes(name!)),
    [],
  )
  const attributes = [...body.matchAll(/<[a-z][^>]*?\s([\w-]+)="([^"]*)"/g)]
  for (const [tag] of body.matchAll(/<[a-z][^>]*>/g)) {
    const names = [...tag.matchAll(/\s([\w-]+)=/g)].map(([, name]) => name)
    const odd = names.filter(
      (name) => !['href', 'rel', 'id', 'class', 'aria-label'].includes(name!),
    )
    assert.deepEqual(odd, [], tag)
  }
  assert.ok(attributes.length > 0)
  for (const [, href] of body.matchAll(/href="([^"]*)"/g)) {
    assert.match(href!, /^(#part-\d+|https:\/\/evil\.example\/)/)
  }
  // What comes behind a text that leaves something open is there all the same.
  for (const part of ['Evaluations', 'Versions', 'Notes']) {
    assert.match(html, new RegExp(`<h2 id="part-\\d+">${part}</h2>`))
  }
  // Nor does it hide anything from whoever reads the Markdown with a parser that takes HTML, or in a terminal.
  const { text } = await card('.md')
  const parsed = new MarkdownIt({ html: true }).render(text)
  for (const part of ['Evaluations', 'Versions', 'Notes']) {
    assert.ok(parsed.replaceAll(/<!--[\s\S]*?(-->|$)/g, '').includes(`<h2>${part}</h2>`), part)
  }
  assert.doesNotMatch(text, /[^\P{Cc}\n\t]/u)
})

async function insertFeedback(pool: Pool, version: string, at: string, scores: number[]) {
  for (const score of scores) {
    const id = lowestIdAt(Date.parse(at)).slice(0, 14) + randomUUIDv7().slice(14)
    await pool.query(
      `INSERT INTO feedback
         (id, exchange_id, giver, given_by, score, model, version, is_confirmed, given_at, updated_at)
       VALUES ($1, $1, 'admin:', 'admin', $2, 'guide', $3, true, $4, $4)`,
      [id, score, version, at],
    )
  }
}
