// One look at every character of a text, which says what need not be looked for.
//
// Most texts have no long word, no @ and few digits. Saying so takes a microsecond for a thousand characters, where
// asking every detector takes several.

/** The shortest of vendors' keys, less one. */
const LONG_WORD = 14

export interface Traits {
  /** a key or a file's content has one */
  hasLongWord: boolean
  /** an @, also as %40 */
  hasAt: boolean
  hasDigit: boolean
}

const OTHER = 0
const WORD = 1
const DIGIT = 2
const AT = 3

/** of the first 128 characters; all others are letters, as far as this is concerned */
const CLASSES = Uint8Array.from({ length: 128 }, (_, code) => {
  const character = String.fromCharCode(code)
  if (/\d/.test(character)) return DIGIT
  if (/[\w-]/.test(character)) return WORD
  return character === '@' || character === '%' ? AT : OTHER
})
const FULL_WIDTH_AT = 0xff20

export function traitsOf(text: string): Traits {
  let hasLongWord = false
  let hasAt = false
  let hasDigit = false
  let run = 0
  for (let at = 0; at < text.length; at++) {
    const code = text.charCodeAt(at)
    const kind = code < 128 ? CLASSES[code] : code === FULL_WIDTH_AT ? AT : OTHER
    if (kind === WORD || kind === DIGIT) {
      run++
      if (run >= LONG_WORD) hasLongWord = true
      if (kind === DIGIT) hasDigit = true
    } else {
      run = 0
      if (kind === AT) hasAt = true
    }
  }
  return { hasLongWord, hasAt, hasDigit }
}
