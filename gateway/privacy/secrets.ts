// Secrets in a text: keys of well-known vendors and our own, tokens, private keys, passwords.
//
// Vendors give their keys prefixes so that they can be found; what has none is found by the name before it. Every pattern
// begins with a literal and repeats one class, so that a text is read once.
//
// Knows: how secrets are written. Does not know: what becomes of them.

import type { Finding } from './finding.ts'

const KIND = 'SECRET'

// Adding a vendor: its prefix, its alphabet, and fewer characters than its shortest key has.
const VENDORS = [
  // OpenAI, Anthropic, OpenRouter, DeepSeek and whoever speaks like them
  String.raw`sk-[\w-]{16,}`,
  // Stripe
  String.raw`(?:[srp]k_(?:live|test)|whsec)_\w{16,}`,
  // GitHub, GitLab
  String.raw`gh[opusr]_\w{30,}`,
  String.raw`github_pat_\w{30,}`,
  String.raw`gl(?:pat|ptt|dt|rt|soat|ft)-[\w-]{16,}`,
  // Slack
  String.raw`xox[abeoprs]-[\w-]{10,}`,
  String.raw`xapp-[\w-]{16,}`,
  // Google
  String.raw`AIza[\w-]{30,}`,
  String.raw`ya29\.[\w-]{20,}`,
  String.raw`GOCSPX-[\w-]{20,}`,
  // AWS
  String.raw`A(?:KIA|SIA|BIA|CCA|GPA|IDA|IPA|NPA|NVA|ROA)[A-Z2-7]{16}(?!\w)`,
  // Hugging Face, Groq, xAI, Replicate, Perplexity, NVIDIA, Together
  String.raw`hf_\w{30,}`,
  String.raw`gsk_\w{20,}`,
  String.raw`xai-\w{20,}`,
  String.raw`r8_\w{30,}`,
  String.raw`pplx-\w{20,}`,
  String.raw`nvapi-[\w-]{20,}`,
  String.raw`tgp_v1_[\w-]{20,}`,
  // package registries
  String.raw`npm_\w{30,}`,
  String.raw`pypi-[\w-]{16,}`,
  // DigitalOcean, Shopify, SendGrid, Square, Databricks, HashiCorp Vault, Linear, Notion, Telegram, Discord, Twilio
  String.raw`do[opr]_v1_[a-f0-9]{60,}`,
  String.raw`shp(?:at|ca|pa|ss)_[a-fA-F0-9]{30,}`,
  String.raw`SG\.[\w-]{16,}\.[\w-]{16,}`,
  String.raw`sq0[a-z]{3}-[\w-]{20,}`,
  String.raw`dapi[a-f0-9]{32}`,
  String.raw`hv[bsr]\.[\w-]{20,}`,
  String.raw`lin_api_\w{30,}`,
  String.raw`(?:secret|ntn)_[A-Za-z0-9]{40,}`,
  String.raw`\d{8,10}:AA[\w-]{32,}`,
  String.raw`(?:AC|SK)[a-f0-9]{32}(?!\w)`,
  // our own
  String.raw`hr_[\w-]{20,}`,
  // JSON Web Tokens
  String.raw`eyJ[\w-]{8,}\.eyJ[\w-]{8,}\.[\w-]*`,
]

// A hyphen before it would let every part of one long word be a new beginning.
const VENDOR = new RegExp(String.raw`(?:(?<![\w-])|(?<=\\[nrt]))(?:${VENDORS.join('|')})`, 'g')

/** schemes of the Authorization header */
const SCHEME = /\b(?:Bearer|Basic|Token)\s{1,4}([\w~+/.=-]{16,})/gi

const NAMES =
  'pass(?:word|wd|phrase)?|pwd|secret|api[_-]?key|(?:access|auth|refresh|session|api|bearer)[_-]?token|' +
  'client[_-]?secret|(?:secret[_-]?)?access[_-]?key|private[_-]?key|account[_-]?key|passwort|kennwort|contraseña|senha|mot de passe'
/** `password: "…"`, `AWS_SECRET_ACCESS_KEY=…`, `my password is …` */
const NAMED = new RegExp(
  String.raw`(?:${NAMES})\\?["'\x60]?(?:\s{0,3}(?:=>|[:=])|\s(?:is|ist|es|est|é))\s{0,3}\\?["'\x60]?([^\s"'\x60\\,;<>(){}[\]]{6,256})`,
  'giu',
)
const NAME = new RegExp(`^(?:${NAMES})$`, 'iu')
const HINT = /pass|pwd|secret|key|token|contras|senha|kennwort|bearer|basic/i

/** Words that stand where a secret would. */
const PLACEHOLDER =
  /^(?:x+|\*+|\.+|your[\w-]*|my[\w-]*|example[\w-]*|changeme|undefined|none|true|false|null|required|string|\$.*|%.*)$/i

const PRIVATE_KEY = /-----BEGIN [A-Z0-9 ]{0,40}PRIVATE KEY(?: BLOCK)?-----/g
const END_MARK = '-----END '
/** of a key whose end was cut off: what a base64 line may have, also quoted */
const KEY_LINES = /[A-Za-z0-9+/=\s\\:,-]*/y

export function findVendorKeys(text: string, found: Finding[]): void {
  for (const match of text.matchAll(VENDOR)) add(found, match.index, match[0])
}

/** Behind a name that says so. Each has a digit: without one it is a word, more often than not. */
export function findNamedSecrets(text: string, found: Finding[]): void {
  if (!HINT.test(text)) return
  for (const { index, 0: whole, 1: value = '' } of text.matchAll(NAMED)) {
    if (isSecret(value)) add(found, index + whole.length - value.length, value)
  }
  for (const { index, 0: whole, 1: value = '' } of text.matchAll(SCHEME)) {
    if (/\d/.test(value)) add(found, index + whole.length - value.length, value)
  }
}

/** Of a field of JSON. */
export function isSecretName(name: string): boolean {
  return NAME.test(name)
}

export function findPrivateKeys(text: string, found: Finding[]) {
  const begin = new RegExp(PRIVATE_KEY)
  let hasEnd = true
  for (let match; (match = begin.exec(text));) {
    const body = begin.lastIndex
    const end: number = hasEnd ? text.indexOf(END_MARK, body) : -1
    hasEnd = end >= 0
    if (hasEnd) {
      const closed = text.indexOf('-----', end + END_MARK.length)
      begin.lastIndex = closed < 0 ? text.length : closed + 5
    } else {
      KEY_LINES.lastIndex = body
      KEY_LINES.test(text)
      begin.lastIndex = Math.max(body, KEY_LINES.lastIndex)
    }
    found.push({ start: match.index, end: begin.lastIndex, kind: KIND })
  }
}

/** Not a word, a type, or a call: secrets mix kinds of characters. */
function isSecret(value: string): boolean {
  if (PLACEHOLDER.test(value)) return false
  const hasMark = /[^A-Za-z0-9._:-]/.test(value)
  return /\d/.test(value) && (/[A-Za-z]/.test(value) || hasMark || value.length >= 12)
}

function add(found: Finding[], start: number, value: string) {
  found.push({ start, end: start + value.length, kind: KIND })
}
