// Telephone numbers: international ones by the numbering plans, national ones where they are written as such or a word
// before them says so.

import { parsePhoneNumberFromString } from 'libphonenumber-js/min'

import { add } from './clusters.ts'
import { BEGIN, plain } from './finding.ts'
import type { CountryCode } from 'libphonenumber-js/min'
import type { Cluster } from './clusters.ts'
import type { Finding } from './finding.ts'

const SEPARATOR = String.raw`[ \u00a0\u202f().\/-]{0,3}`
const INTERNATIONAL = new RegExp(
  String.raw`${BEGIN}(?<!\+)(?:\+|00(?=[1-9]\d? |[1-9]\d\d ))[1-9](?:${SEPARATOR}\d){6,14}(?![A-Za-z0-9_])`,
  'gu',
)
/** a trailing group, which may be another number */
const LAST_GROUP = /[^\d+]+\d+$/
/** North America's, with parentheses, hyphens or dots; of spaces alone many numbers are made */
const NORTH_AMERICAN =
  /(?:(?<![A-Za-z0-9_.+-])|(?<=\\[nrt]))(?:1[ .-])?(?:\([2-9]\d\d\) ?|[2-9]\d\d([.-]))[2-9]\d\d(?:\1|[.-])\d{4}(?![A-Za-z0-9_]|[.-]\d)/gu
/** a trunk prefix and groups: 030 1234567, 0171/1234567, 06 12 34 56 78 */
const NATIONAL =
  /(?:(?<![A-Za-z0-9_./+-])|(?<=\\[nrt]))(?:\(0[1-9]\d{0,4}\)|0[1-9]\d{0,4})(?:[ \u00a0/-]{1,3}\d{2,8}){1,5}(?![A-Za-z0-9_]|[./-]\d)/gu
const DATE = /^\d{1,2}[/-]\d{1,2}[/-]\d{2,4}/
const MARKED = /(?<![A-Za-z0-9_.])\(?\d(?:[ \u00a0()./-]{0,3}\d){6,14}(?![A-Za-z0-9_])/gu
const MARK =
  /(?:\b(?:tel|phone|mobile|cell|fax|call(?: me)?(?: at| on)?|whats ?app|sms|telefon|handy|mobil|tél|téléphone|portable|teléfono|móvil|telefone|celular|cellulare|telefono|ring)|telephone|phone ?number)["'.:)\s#=]{0,4}(?:(?:no|nr|number|is|:)[.:\s]{0,3})?["']?$/

/** whose national forms begin with 0; where one of them has such numbers, it is one */
const REGIONS: CountryCode[] = ['DE', 'FR', 'GB', 'NL', 'AT', 'CH', 'BE', 'AU', 'JP', 'IN']

/** What the numbering plans may still be asked about one text. Whatever is left to ask then counts as a number. */
export interface Questions {
  left: number
}

/** a question takes some 20 µs; a text with more numbers than that is a list of them */
export const MAX_QUESTIONS = 500

export function findPhones(cluster: Cluster, questions: Questions, found: Finding[]): void {
  const { text } = cluster
  if (text.includes('+') || text.includes('00')) {
    for (const { index, 0: matched } of text.matchAll(INTERNATIONAL)) {
      const number = internationalOf(matched, questions)
      if (number) add(found, cluster, index, number.length, 'PHONE', plain(number))
    }
  }
  for (const { index, 0: number } of text.matchAll(NORTH_AMERICAN)) {
    add(found, cluster, index, number.length, 'PHONE', plain(number))
  }
  for (const { index, 0: number } of text.matchAll(NATIONAL)) {
    if (DATE.test(number) || !isNational(number, questions)) continue
    add(found, cluster, index, number.length, 'PHONE', plain(number))
  }
  for (const { index, 0: number } of text.matchAll(MARKED)) {
    if (!MARK.test(cluster.before(index))) continue
    add(found, cluster, index, number.length, 'PHONE', plain(number))
  }
}

/** As much of it as is a number somewhere. */
function internationalOf(matched: string, questions: Questions): string | null {
  let number = matched
  do {
    if (questions.left-- <= 0) return matched
    const parsed = parsePhoneNumberFromString(number.replace(/^00/, '+'))
    if (parsed?.isPossible()) return number
    const shorter = number.replace(LAST_GROUP, '')
    if (shorter === number) return null
    number = shorter
  } while (number !== '')
  return null
}

function isNational(number: string, questions: Questions): boolean {
  const { length } = plain(number)
  if (length < 9 || length > 12) return false
  questions.left -= REGIONS.length
  if (questions.left <= 0) return true
  return REGIONS.some((region) => parsePhoneNumberFromString(number, region)?.isValid() ?? false)
}
