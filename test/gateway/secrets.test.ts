import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { test } from 'node:test'

import { hintOf, Keyring, readSecretKeys, SecretError } from '../../gateway/secrets.ts'

const SECRET = 'sk-planted-secret-é'
const KEY = randomBytes(32)

test('what is sealed opens again, never looks the same twice and shows nothing', () => {
  const keys = new Keyring([KEY])
  const sealed = keys.seal(SECRET, 'upstream a')
  assert.equal(keys.open(sealed, 'upstream a'), SECRET)
  assert.notEqual(keys.seal(SECRET, 'upstream a'), sealed)
  assert.doesNotMatch(sealed, /planted/)
})

test('a secret that is moved to another owner, changed or cut does not open', () => {
  const keys = new Keyring([KEY])
  const sealed = keys.seal(SECRET, 'upstream a')
  assert.throws(() => keys.open(sealed, 'upstream b'), SecretError)
  const [format, id, body = ''] = sealed.split('.')
  for (let at = 0; at < body.length; at += 7) {
    const other = body[at] === 'A' ? 'Q' : 'A'
    const changed = `${format}.${id}.${body.slice(0, at)}${other}${body.slice(at + 1)}`
    assert.throws(() => keys.open(changed, 'upstream a'), SecretError)
  }
  assert.throws(() => keys.open(sealed.slice(0, 20), 'upstream a'), /cut short/)
  assert.throws(() => keys.open('plain', 'upstream a'), SecretError)
})

test('keys rotate: the newest seals, older ones still open, unknown ones are named', () => {
  const old = new Keyring([KEY])
  const sealed = old.seal(SECRET, 'a')
  const rotated = new Keyring([randomBytes(32), KEY])
  assert.equal(rotated.open(sealed, 'a'), SECRET)
  const again = rotated.seal(SECRET, 'a')
  assert.throws(
    () => old.open(again, 'a'),
    /sealed with the key [0-9a-f]{8}, which HEADRACE_SECRET/,
  )
})

test('without a key nothing is stored', () => {
  const none = new Keyring([])
  assert.throws(() => none.seal(SECRET, 'a'), /HEADRACE_SECRET_KEY is not set/)
})

test('keys are read as hex or base64, several with commas; anything else is refused', () => {
  for (const text of [KEY.toString('hex'), KEY.toString('base64'), KEY.toString('base64url')]) {
    assert.deepEqual(readSecretKeys(text), [KEY])
  }
  const two = `${KEY.toString('base64')}, ${KEY.toString('hex')}`
  assert.deepEqual(readSecretKeys(two), [KEY, KEY])
  for (const text of ['', 'short', `${KEY.toString('hex')},`, KEY.toString('hex').slice(2)]) {
    assert.equal(readSecretKeys(text), undefined, text)
  }
})

test('a hint shows four characters of a long secret and none of a short one', () => {
  assert.equal(hintOf('sk-planted-secret-1234'), '…1234')
  assert.equal(hintOf('short-secret'), '…')
})
