// Secrets at rest: sealed with AES-256-GCM under the operator's key, opened only to be used.
//
// A sealed text says which key it was sealed with, so that keys rotate: HEADRACE_SECRET_KEY lists the newest first, what
// is sealed now gets that one, and older ones still open what they sealed. What a secret belongs to is authenticated
// with it: a row's secret moved into another row does not open.
//
// Knows: keys, texts. Does not know: whose secrets they are, where they are kept.

import { createCipheriv, createDecipheriv, hash, hkdfSync, randomBytes } from 'node:crypto'

const FORMAT = 'v1'
const KEY_BYTES = 32
/** what GCM was made for; random ones of that size are safe for some 2³² secrets a key */
const NONCE_BYTES = 12
const TAG_BYTES = 16

export class SecretError extends Error {
  override name = 'SecretError'
}

export class Keyring {
  readonly #keys: { id: string; key: Buffer }[]

  /** @param keys 32 bytes each, the newest first; none: nothing can be sealed or opened */
  constructor(keys: Buffer[]) {
    this.#keys = keys.map((key) => ({ id: idOf(key), key }))
  }

  /** @param owner what the secret belongs to @throws SecretError without a key */
  seal(text: string, owner: string): string {
    const [newest] = this.#keys
    if (!newest)
      throw new SecretError('HEADRACE_SECRET_KEY is not set, so no secret can be stored.')
    const nonce = randomBytes(NONCE_BYTES)
    const cipher = createCipheriv('aes-256-gcm', newest.key, nonce)
    cipher.setAAD(Buffer.from(owner))
    const sealed = Buffer.concat([nonce, cipher.update(text, 'utf8'), cipher.final()])
    const whole = Buffer.concat([sealed, cipher.getAuthTag()])
    return `${FORMAT}.${newest.id}.${whole.toString('base64url')}`
  }

  /** @throws SecretError where no key opens it, or it belongs to another owner or was changed */
  open(sealed: string, owner: string): string {
    const [format, id, body = ''] = sealed.split('.')
    if (format !== FORMAT)
      throw new SecretError('This secret is sealed in a way that is not known.')
    const found = this.#keys.find((key) => key.id === id)
    if (!found) {
      throw new SecretError(
        `This secret was sealed with the key ${id}, which HEADRACE_SECRET_KEY does not have.`,
      )
    }
    const whole = Buffer.from(body, 'base64url')
    if (whole.length < NONCE_BYTES + TAG_BYTES) throw new SecretError('This secret is cut short.')
    const decipher = createDecipheriv('aes-256-gcm', found.key, whole.subarray(0, NONCE_BYTES), {
      authTagLength: TAG_BYTES,
    })
    decipher.setAAD(Buffer.from(owner))
    decipher.setAuthTag(whole.subarray(-TAG_BYTES))
    try {
      const text = decipher.update(whole.subarray(NONCE_BYTES, -TAG_BYTES))
      return Buffer.concat([text, decipher.final()]).toString('utf8')
    } catch (cause) {
      throw new SecretError('This secret was changed, or belongs to something else.', { cause })
    }
  }

  /** @returns a key of its own for each key, the newest first, from which nothing follows for any other purpose */
  derive(purpose: string): Buffer[] {
    // HKDF (RFC 5869); the keys are random already, so that there is nothing for a salt to do.
    return this.#keys.map(({ key }) => Buffer.from(hkdfSync('sha256', key, '', purpose, KEY_BYTES)))
  }
}

/** @returns keys of a list with commas, 32 bytes each as hex or base64; undefined where one is not */
export function readSecretKeys(text: string): Buffer[] | undefined {
  const keys = text.split(',').map((part) => readKey(part.trim()))
  return keys.every((key) => key !== undefined) ? keys : undefined
}

function readKey(text: string): Buffer | undefined {
  if (/^[0-9a-f]{64}$/i.test(text)) return Buffer.from(text, 'hex')
  if (!/^[A-Za-z0-9+/_-]{43}=?$/.test(text)) return undefined
  const key = Buffer.from(text, 'base64')
  return key.length === KEY_BYTES ? key : undefined
}

/** Says which key it is and nothing about it. */
function idOf(key: Buffer): string {
  return hash('sha256', Buffer.concat([Buffer.from('headrace secret key\n'), key]), 'hex').slice(
    0,
    8,
  )
}

/** A secret as it may be shown: its last four characters, where they leave enough to guess. */
export function hintOf(secret: string): string {
  return secret.length >= 16 ? `…${secret.slice(-4)}` : '…'
}
