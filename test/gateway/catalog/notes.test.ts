// Notes of models and versions, and the files attached to them.

import assert from 'node:assert/strict'
import { hash, randomBytes } from 'node:crypto'
import test from 'node:test'

import { errorOf, rowsOf } from '../../support/admin.ts'
import { startCatalog } from '../../support/catalog.ts'
import { ADMIN_KEY } from '../../support/gateway.ts'
import { usePostgres } from '../../support/postgres.ts'
import { insertNote } from '../../../gateway/db/catalog-notes.ts'
import type { TestContext } from 'node:test'

const postgres = usePostgres()
const NOTES = '/admin/catalog/models/guide/notes'

async function startNotes(t: TestContext) {
  const catalog = await startCatalog(t, postgres)
  await catalog.ask('POST', '/admin/catalog/models', { name: 'guide' })
  await catalog.ask('POST', '/admin/catalog/models/guide/versions', {
    upstream: 'openai',
    asks: 'x',
  })
  const write = async (draft: object) => {
    const { status, body } = await catalog.ask('POST', NOTES, { kind: 'incident', ...draft })
    assert.equal(status, 201, JSON.stringify(body))
    return String(body['id'])
  }
  const send = async (note: string, name: string, content: Buffer | string, type?: string) => {
    const url = `${catalog.url}/admin/catalog/notes/${note}/attachments?name=${encodeURIComponent(name)}`
    const headers = { authorization: `Bearer ${ADMIN_KEY}`, ...(type && { 'content-type': type }) }
    const answer = await fetch(url, { method: 'POST', headers, body: content })
    const body = (await answer.json()) as Record<string, unknown>
    return { status: answer.status, body, headers: answer.headers }
  }
  return { ...catalog, write, send }
}

test('notes are of a model or of one of its versions, newest first', async (t) => {
  const { ask, write } = await startNotes(t)
  await write({ text: 'of the model' })
  const id = await write({ version: 1, kind: 'training_log', title: 'Run 7', text: '# loss\n0.3' })
  const listed = async (query: string) =>
    rowsOf(await ask('GET', `${NOTES}${query}`)).map((note) => note['text'])
  assert.deepEqual(await listed(''), ['# loss\n0.3', 'of the model'])
  assert.deepEqual(await listed('?version=1'), ['# loss\n0.3'])
  assert.deepEqual(await listed('?version=none'), ['of the model'])
  assert.deepEqual(await listed('?kind=incident'), ['of the model'])
  assert.deepEqual(await listed(`?after=${id}`), ['of the model'])

  const { body } = await ask('GET', `/admin/catalog/notes/${id}`)
  assert.deepEqual(
    [body['version'], body['title'], body['author'], body['attachments']],
    ['guide@1', 'Run 7', 'admin', []],
  )
  const changed = await ask('PATCH', `/admin/catalog/notes/${id}`, { title: 'Run 8' })
  assert.deepEqual([changed.body['title'], changed.body['text']], ['Run 8', '# loss\n0.3'])
  await ask('DELETE', `/admin/catalog/notes/${id}`)
  assert.equal(errorOf(await ask('GET', `/admin/catalog/notes/${id}`)).code, 'note_not_found')
  assert.equal(errorOf(await ask('PATCH', '/admin/catalog/notes/x', {})).code, 'note_not_found')

  const wrong: [object, string][] = [
    [{ kind: 'poem', text: 'x' }, 'invalid_value'],
    [{ kind: 'incident', text: '' }, 'invalid_value'],
    [{ kind: 'incident' }, 'missing_required_parameter'],
    [{ kind: 'incident', text: 'x', version: 9 }, 'version_not_found'],
  ]
  for (const [draft, code] of wrong) {
    assert.equal(errorOf(await ask('POST', NOTES, draft)).code, code)
  }
  const actions = rowsOf(await ask('GET', '/admin/audit?kind=catalog_note'))
  assert.deepEqual(
    actions.map((entry) => entry['action']),
    ['delete', 'update', 'create', 'create'].map((action) => `catalog_note.${action}`),
  )
})

test('notes are found by their words, best first, with the places marked', async (t) => {
  const { ask, write, pool } = await startNotes(t)
  const inTitle = await write({ title: 'Latency doubled', text: 'After the new kernel.' })
  const inText = await write({
    version: 1,
    kind: 'validation_result',
    text: 'No change of latency.',
  })
  await write({ text: 'Nothing of that.' })
  const find = async (query: string) =>
    rowsOf(await ask('GET', `/admin/catalog/notes/search?${query}`))
  const hits = await find('q=latency')
  assert.deepEqual(
    hits.map((hit) => hit['id']),
    [inTitle, inText],
  )
  assert.match(String(hits[1]?.['highlight']), /change of «latency»/)
  assert.deepEqual(
    (await find('q=latency&model=guide&version=1')).map((hit) => hit['id']),
    [inText],
  )
  assert.deepEqual(await find('q=latency%20-change%20-kernel'), [])
  assert.equal((await find('q=latency&limit=1&offset=1'))[0]?.['id'], inText)
  assert.equal(
    errorOf(await ask('GET', '/admin/catalog/notes/search?q=a&version=1')).param,
    'version',
  )

  // Written while another language was set.
  const note = { model: 'guide', version: null, kind: 'other' as const, title: '', author: 'x' }
  const at = { createdAt: new Date(), updatedAt: new Date() }
  const id = '019a2b4c-0000-7000-8000-000000000000'
  await insertNote(pool, { ...note, ...at, id, text: 'Runs faster' }, 'english')
  assert.deepEqual(
    (await find('q=runs')).map((hit) => hit['id']),
    [id],
  )
})

test('a file comes back byte by byte, as a download that no browser opens', async (t) => {
  const { url, ask, write, send } = await startNotes(t)
  const note = await write({ text: 'with files' })
  const content = randomBytes(700_001)
  const sent = await send(note, 'Verlauf "ä".bin', content, 'image/svg+xml')
  assert.equal(sent.status, 201)
  assert.deepEqual([sent.body['bytes'], sent.body['sha256']], [700_001, hash('sha256', content)])

  const path = `/admin/catalog/attachments/${String(sent.body['id'])}`
  const answer = await fetch(url + path, { headers: { authorization: `Bearer ${ADMIN_KEY}` } })
  assert.deepEqual(Buffer.from(await answer.arrayBuffer()), content)
  const header = (name: string) => answer.headers.get(name)
  assert.equal(header('content-type'), 'image/svg+xml')
  assert.equal(header('x-content-type-options'), 'nosniff')
  assert.equal(header('content-security-policy'), "default-src 'none'; sandbox")
  assert.equal(
    header('content-disposition'),
    `attachment; filename="Verlauf ___.bin"; filename*=UTF-8''Verlauf%20%22%C3%A4%22.bin`,
  )
  const { body } = await ask('GET', `/admin/catalog/notes/${note}`)
  assert.equal((body['attachments'] as object[]).length, 1)
  await ask('DELETE', path)
  assert.equal(errorOf(await ask('GET', path)).code, 'attachment_not_found')
})

test('JSON is a file like any other, and goes with its note', async (t) => {
  const { ask, write, send } = await startNotes(t)
  const note = await write({ text: 'with files' })
  const sent = await send(note, 'eval.json', '{"broken', 'application/json')
  assert.deepEqual([sent.status, sent.body['content_type']], [201, 'application/json'])
  const odd = await send(note, 'a', 'x', 'text/html; a="b"')
  assert.equal(odd.body['content_type'], 'application/octet-stream')
  await ask('DELETE', `/admin/catalog/notes/${note}`)
  const path = `/admin/catalog/attachments/${String(sent.body['id'])}`
  assert.equal((await ask('GET', path)).status, 404)
})

test('what is too large, empty or misnamed is refused with the reason', async (t) => {
  const { write, send } = await startNotes(t)
  const note = await write({ text: 'with files' })
  const most = Buffer.alloc(10 * 1024 * 1024)
  assert.equal((await send(note, 'a', most)).status, 201)
  const large = await send(note, 'a', Buffer.alloc(most.length + 1))
  assert.deepEqual([large.status, errorOf(large).code], [413, 'body_too_large'])
  assert.match(errorOf(large).message, /at most 10485760 bytes/)
  assert.equal(errorOf(await send(note, 'a', '')).code, 'empty_body')
  assert.equal(errorOf(await send('none', 'a', 'x')).code, 'note_not_found')
  for (const name of ['../a', 'a\\b', '..', 'a\nb', 'a'.repeat(256)]) {
    const refused = errorOf(await send(note, name, 'x'))
    assert.deepEqual([refused.status, refused.param], [400, 'name'], name)
  }
})
