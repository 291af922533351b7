// A field is found in a form, and replaced, with everything else left as it is.

import assert from 'node:assert/strict'
import { test } from 'node:test'

import { findField, replaceField } from '../../gateway/dialects/openai/form.ts'

const TYPE = 'multipart/form-data; boundary="b-1"'
const part = (head: string, body: string) => `--b-1\r\n${head}\r\n\r\n${body}\r\n`
const field = (name: string, value: string) =>
  part(`Content-Disposition: form-data; name="${name}"`, value)
const file = (name: string, body: string) =>
  part(
    `Content-Disposition: form-data; name="${name}"; filename="a"\r\nContent-Type: audio/wav`,
    body,
  )
const form = (...parts: string[]) => Buffer.from(`${parts.join('')}--b-1--\r\n`, 'latin1')

test('a field is found before and after a file that contains anything', () => {
  const trap = file(
    'file',
    '\r\n--b-\r\nContent-Disposition: form-data; name="model"\r\n\r\nno\xff',
  )
  for (const parts of [
    [field('model', 'far'), trap],
    [trap, field('model', 'far'), field('language', 'de')],
  ]) {
    const bytes = form(...parts)
    const found = findField(bytes, TYPE, 'model')
    assert.equal(found?.value, 'far')
    const longer = replaceField(bytes, found, 'a-longer-name')
    assert.equal(findField(longer, TYPE, 'model')?.value, 'a-longer-name')
    assert.deepEqual(replaceField(longer, findField(longer, TYPE, 'model')!, 'far'), bytes)
  }
})

test('a file of that name, a field of another, and what is no form are not it', () => {
  assert.equal(findField(form(file('model', 'far')), TYPE, 'model'), null)
  assert.equal(findField(form(field('models', 'far')), TYPE, 'model'), null)
  for (const bytes of ['', '--b-1', '--b-1\r\n', '--b-1--', 'x'.repeat(100)]) {
    assert.equal(findField(Buffer.from(bytes), TYPE, 'model'), null)
  }
  assert.equal(findField(form(field('model', 'far')), 'multipart/form-data', 'model'), null)
})
