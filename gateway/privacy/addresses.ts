// Addresses with an @ in a text: e-mail, and passwords in URLs.
//
// The @ is looked for, and what is around it only then: a text without one costs a search for one character.

import type { Finding } from './finding.ts'

const LOCAL_MAX = 64
/** of a URL before its host */
const URL_MAX = 300
const LOCAL = /[\p{L}\p{N}.!#$%&'*+/=?^_`{|}~-]/u
const DOMAIN =
  /(?:[\p{L}\p{N}](?:[\p{L}\p{N}-]{0,61}[\p{L}\p{N}])?\.){1,8}\p{L}[\p{L}\p{N}-]{0,62}\p{L}/uy
const AT = /@|%40|＠/g
/** user and password before an @ */
const CREDENTIALS = /:\/\/[^\s/?#:@"']{0,128}:([^\s/"'<>]{1,256})$/

export function findAddresses(text: string, found: Finding[]): void {
  for (const { index, 0: at } of text.matchAll(AT)) {
    const before = text.slice(Math.max(0, index - URL_MAX), index)
    const password = before.includes('://') ? CREDENTIALS.exec(before)?.[1] : undefined
    if (password !== undefined) {
      found.push({ start: index - password.length, end: index, kind: 'SECRET' })
      continue
    }
    const start = localStart(text, index)
    if (start === index) continue
    DOMAIN.lastIndex = index + at.length
    if (!DOMAIN.test(text)) continue
    const end = DOMAIN.lastIndex
    const value = `${text.slice(start, index)}@${text.slice(index + at.length, end)}`.toLowerCase()
    found.push({ start, end, kind: 'EMAIL', value })
  }
}

/** Where the part before the @ begins. */
function localStart(text: string, at: number): number {
  let start = at
  const least = Math.max(0, at - LOCAL_MAX)
  // A pair of surrogates is no letter of an address that anybody has.
  while (start > least && LOCAL.test(text[start - 1]!)) start--
  // In quoted JSON, `\n` ends the line before.
  if (text[start - 1] === '\\' && /[nrt]/.test(text[start] ?? '')) start++
  // "mailto:" ends with no letter of an address; quotes, dots and slashes around one are none of it.
  while (start < at && /['`.!/|{}=&?]/.test(text[start]!)) start++
  return start
}
