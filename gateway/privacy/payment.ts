// Card numbers by the networks' ranges and Luhn's check digit; bank accounts as IBANs, by length and ISO 7064 mod 97.

import { add } from './clusters.ts'
import { BEGIN, END, plain } from './finding.ts'
import type { Cluster } from './clusters.ts'
import type { Finding } from './finding.ts'

/** Digits in one piece, or in groups with one kind of separator. What is part of a longer number is none. */
const CARD = new RegExp(
  String.raw`${BEGIN}(?<!\d[.,-])(?:\d{13,19}|\d{4}([ \u00a0.-])\d{4}\1\d{4}\1\d{1,4}(?:\1\d{3})?|\d{4}([ \u00a0.-])\d{6}\2\d{4,5})${END}(?![.,-]\d)`,
  'gu',
)
/** ISO 7812 ranges that networks use, with the lengths that they have there */
const NETWORKS =
  /^(?:4(?:\d{12}|\d{15}|\d{18})|(?:5[1-5]|2(?:22[1-9]|2[3-9]|[3-6]|7[01]|720))\d*|3[47]\d{13}|3(?:0[0-5]|[689])\d{11,16}|35(?:2[89]|[3-8])\d*|6(?:011|4[4-9]|5|2|0|1[0-9]|[3-9])\d*|5[0678]\d*|220[0-4]\d*|81\d*|9792\d*)$/

export function findCards(cluster: Cluster, found: Finding[]): void {
  // Groups of four may begin inside what looks like a longer row of groups: each beginning is tried.
  CARD.lastIndex = 0
  for (let match; (match = CARD.exec(cluster.text));) {
    const [text] = match
    const digits = plain(text)
    if (NETWORKS.test(digits) && isLuhn(digits)) {
      add(found, cluster, match.index, text.length, 'CARD', digits)
    } else {
      CARD.lastIndex = match.index + 1
    }
  }
}

function isLuhn(digits: string): boolean {
  let sum = 0
  for (let place = 0; place < digits.length; place++) {
    const digit = digits.charCodeAt(digits.length - 1 - place) - 48
    const weighed = place % 2 === 1 ? digit * 2 : digit
    sum += weighed > 9 ? weighed - 9 : weighed
  }
  return sum % 10 === 0 && !/^(\d)\1*$/.test(digits)
}

// prettier-ignore
/** of the IBAN registry, characters in all */
const IBAN_LENGTHS: Record<string, number> = {
  AD: 24, AE: 23, AL: 28, AT: 20, AZ: 28, BA: 20, BE: 16, BG: 22, BH: 22, BI: 27, BR: 29, BY: 28, CH: 21, CR: 22, CY: 28,
  CZ: 24, DE: 22, DJ: 27, DK: 18, DO: 28, EE: 20, EG: 29, ES: 24, FI: 18, FK: 18, FO: 18, FR: 27, GB: 22, GE: 22, GI: 23,
  GL: 18, GR: 27, GT: 28, HN: 28, HR: 21, HU: 28, IE: 22, IL: 23, IQ: 23, IS: 26, IT: 27, JO: 30, KW: 30, KZ: 20, LB: 28,
  LC: 32, LI: 21, LT: 20, LU: 20, LV: 21, LY: 25, MC: 27, MD: 24, ME: 22, MK: 19, MN: 20, MR: 27, MT: 31, MU: 30, NI: 28,
  NL: 18, NO: 15, OM: 23, PK: 24, PL: 28, PS: 29, PT: 25, QA: 29, RO: 24, RS: 22, RU: 33, SA: 24, SC: 31, SD: 18, SE: 24,
  SI: 19, SK: 24, SM: 27, SO: 23, ST: 25, SV: 28, TL: 23, TN: 24, TR: 26, UA: 29, VA: 22, VG: 24, XK: 20, YE: 30,
}
const IBAN_HEAD = new RegExp(
  String.raw`${BEGIN}([A-Za-z]{2}) ?\d ?\d(?=[ \u00a0-]?[A-Za-z0-9])`,
  'gu',
)

export function findBankAccounts(cluster: Cluster, found: Finding[]): void {
  for (const { index, 1: country = '' } of cluster.text.matchAll(IBAN_HEAD)) {
    const length = IBAN_LENGTHS[country.toUpperCase()]
    const end = length === undefined ? null : endOf(cluster.text, index, length)
    if (end === null) continue
    const iban = plain(cluster.text.slice(index, end))
    if (isMod97(iban)) add(found, cluster, index, end - index, 'IBAN', iban)
  }
}

/** Where that many letters and digits end, with at most one separator between two; null where they don't. */
function endOf(text: string, start: number, characters: number): number | null {
  let count = 0
  let separators = 0
  for (let at = start; at < text.length; at++) {
    const code = text.charCodeAt(at)
    if (isAlphanumeric(code)) {
      count++
      separators = 0
      if (count < characters) continue
      return at + 1 < text.length && isAlphanumeric(text.charCodeAt(at + 1)) ? null : at + 1
    }
    if (++separators > 1 || !/[ \u00a0\u202f-]/.test(text[at]!)) return null
  }
  return null
}

function isAlphanumeric(code: number): boolean {
  return (code >= 48 && code <= 57) || (code >= 65 && code <= 90) || (code >= 97 && code <= 122)
}

function isMod97(iban: string): boolean {
  let rest = 0
  for (const character of iban.slice(4) + iban.slice(0, 4)) {
    const value = Number.parseInt(character, 36)
    rest = (rest * (value > 9 ? 100 : 10) + value) % 97
  }
  return rest === 1
}
