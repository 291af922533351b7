// National ids, by form and check digits.
//
// An id whose check would let one of ten numbers through counts only in the form that people write it in, or behind a
// word that says what it is. The checks are stdnum's; the rules of social security numbers are the few that there are.
//
// Adding one: its form as people write it, its check, and `isWeak` where more than one in fifty numbers of the form pass.

import * as cpf from 'stdnum/lib/cjs/br/cpf.js'
import * as sin from 'stdnum/lib/cjs/ca/sin.js'
import * as ahv from 'stdnum/lib/cjs/ch/ssn.js'
import * as ric from 'stdnum/lib/cjs/cn/ric.js'
import * as idnr from 'stdnum/lib/cjs/de/idnr.js'
import * as dni from 'stdnum/lib/cjs/es/dni.js'
import * as nie from 'stdnum/lib/cjs/es/nie.js'
import * as hetu from 'stdnum/lib/cjs/fi/hetu.js'
import * as nir from 'stdnum/lib/cjs/fr/nir.js'
import * as aadhaar from 'stdnum/lib/cjs/in/aadhaar.js'
import * as pan from 'stdnum/lib/cjs/in/pan.js'
import * as codiceFiscale from 'stdnum/lib/cjs/it/codicefiscale.js'
import * as rrn from 'stdnum/lib/cjs/kr/rrn.js'
import * as curp from 'stdnum/lib/cjs/mx/curp.js'
import * as bsn from 'stdnum/lib/cjs/nl/bsn.js'
import * as fodselsnummer from 'stdnum/lib/cjs/no/fodselsnummer.js'
import * as pesel from 'stdnum/lib/cjs/pl/pesel.js'
import * as personnummer from 'stdnum/lib/cjs/se/personnummer.js'
import * as kimlik from 'stdnum/lib/cjs/tr/tckimlik.js'

import { add } from './clusters.ts'
import { plain } from './finding.ts'
import type { Cluster } from './clusters.ts'
import type { Finding } from './finding.ts'

interface NationalId {
  form: RegExp
  isValid: (text: string) => boolean
  /** in this form it needs no word before it although the check is weak; absent: the check is strong */
  isWeak?: { written: RegExp; word: RegExp }
}

interface Check {
  validate(text: string): { isValid: boolean }
}

const checkedBy =
  ({ validate }: Check) =>
  (text: string) =>
    validate(plain(text)).isValid

/** What is not part of a longer number or name. */
const form = (body: string) =>
  new RegExp(
    String.raw`(?:(?<![A-Za-z0-9_]|\d[.,/-])|(?<=\\[nrt]))(?:${body})(?![A-Za-z0-9_]|[.,/-]\d)`,
    'gu',
  )

const NEVER = /(?!)/

const IDS: NationalId[] = [
  {
    // United States: no area 000, 666 or from 900 on (those are tax ids, which are as telling), no group 00, no serial 0000
    form: form(String.raw`(?!000|666)\d{3}([- \u00a0]?)(?!00)\d\d\1(?!0000)\d{4}`),
    isValid: () => true,
    isWeak: { written: /^\d{3}-\d\d-\d{4}$/, word: /\b(?:ssn|social security|itin|tin)\b/ },
  },
  {
    form: form(String.raw`\d{8}-?[A-HJ-NP-TV-Za-hj-np-tv-z]`),
    isValid: checkedBy(dni),
  },
  { form: form(String.raw`[XYZxyz]-?\d{7}-?[A-Za-z]`), isValid: checkedBy(nie) },
  {
    form: form(
      String.raw`[A-Za-z]{6}[\dLMNPQRSTUVlmnpqrstuv]{2}[A-Ta-t][\dA-Za-z]{2}[A-Za-z][\dA-Za-z]{3}[A-Za-z]`,
    ),
    isValid: checkedBy(codiceFiscale),
  },
  {
    form: form(String.raw`\d{2} ?\d{3} ?\d{3} ?\d{3}`),
    isValid: checkedBy(idnr),
    isWeak: {
      written: /^\d\d \d{3} \d{3} \d{3}$/,
      word: /steuer|tax|tin|idnr|id-nr|identifikation/,
    },
  },
  { form: form(String.raw`\d{3}\.\d{3}\.\d{3}-\d{2}|\d{11}`), isValid: checkedBy(cpf) },
  {
    // United Kingdom: prefixes that are given, and no check digit
    form: form(
      String.raw`(?!BG|GB|NK|KN|TN|NT|ZZ)[A-CEGHJ-PR-TW-Z][A-CEGHJ-NPR-TW-Z] ?\d\d ?\d\d ?\d\d ?[A-D]`,
    ),
    isValid: () => true,
  },
  {
    form: form(
      String.raw`[12] ?\d\d ?(?:0[1-9]|1[0-2]|[2-9]\d) ?(?:\d\d|2[AB]) ?\d{3} ?\d{3} ?\d\d`,
    ),
    isValid: checkedBy(nir),
  },
  {
    form: form(String.raw`[2-9]\d{3}([ -]?)\d{4}\1\d{4}`),
    isValid: checkedBy(aadhaar),
    isWeak: { written: /^\d{4} \d{4} \d{4}$/, word: /aadh?aa?r|uidai|uid\b/ },
  },
  { form: form(String.raw`[A-Z]{3}[ABCFGHLJPT][A-Z]\d{4}[A-Z]`), isValid: checkedBy(pan) },
  { form: form(String.raw`756\.?\d{4}\.?\d{4}\.?\d\d`), isValid: checkedBy(ahv) },
  { form: form(String.raw`\d{17}[\dXx]`), isValid: checkedBy(ric) },
  { form: form(String.raw`\d{6}-\d{7}`), isValid: checkedBy(rrn) },
  { form: form(String.raw`[A-Z]{4}\d{6}[HMX][A-Z]{5}[A-Z\d]\d`), isValid: checkedBy(curp) },
  {
    form: form(String.raw`\d{6}[-+A-FU-Y]\d{3}[\dA-FHJ-NPR-Y]`),
    isValid: (text) => hetu.validate(text).isValid,
  },
  {
    form: form(String.raw`(?:19|20)?\d{6}[-+]\d{4}`),
    isValid: (text) => personnummer.validate(text).isValid,
  },
  { form: form(String.raw`\d{6} ?\d{5}`), isValid: checkedBy(fodselsnummer) },
  { form: form(String.raw`[1-9]\d{10}`), isValid: checkedBy(kimlik) },
  {
    form: form(String.raw`\d{11}`),
    isValid: checkedBy(pesel),
    isWeak: { written: NEVER, word: /pesel/ },
  },
  {
    form: form(String.raw`\d{9}|\d{4}\.\d\d\.\d{3}`),
    isValid: checkedBy(bsn),
    isWeak: { written: NEVER, word: /bsn|burgerservice|sofi/ },
  },
  {
    form: form(String.raw`\d{3}([- ]?)\d{3}\1\d{3}`),
    isValid: checkedBy(sin),
    isWeak: { written: NEVER, word: /\bsin\b|social insurance/ },
  },
]

/** Any of them: most numbers have none of the forms, and one look tells. */
const ANY = new RegExp(
  IDS.map(({ form: { source } }) => source.replaceAll('\\1', '[- \u00a0]?')).join('|'),
  'u',
)

export function findNationalIds(cluster: Cluster, found: Finding[]): void {
  if (!ANY.test(cluster.text)) return
  for (const { form, isValid, isWeak } of IDS) {
    for (const { index, 0: text } of cluster.text.matchAll(form)) {
      if (isWeak && !isWeak.written.test(text) && !isWeak.word.test(cluster.before(index))) continue
      if (isValid(text)) add(found, cluster, index, text.length, 'NATIONAL_ID', plain(text))
    }
  }
}
