// Finds where in a text each of its tokens came from.
//
// The tokenizer does not tell, so the tokens are laid over the text again: both are brought to the same form (lower case,
// accents and marks of pieces taken off, where the tokenizer does so) and read side by side. A token that stands for
// something unknown takes what lies up to the next one that is found.
//
// Knows: characters. Does not know: vocabularies, models.

import type { Span } from './meaning.ts'

/** A text's characters in the form that tokens have, each with where it came from. */
interface Form {
  characters: string[]
  starts: number[]
  ends: number[]
}

/** What of a token is not text: the sign of a piece that goes on, of a space before it, of a word's end. */
const DECORATION = /^##|^[▁Ġ]+|<\/w>$/g
/** how far ahead a token is looked for where it isn't next, in characters */
const LOOKAHEAD = 100

export type TokenKind = 'text' | 'mark' | 'unknown'

/**
 * @param tokens as the vocabulary has them, marks included
 * @param kindOf of the token with that index
 */
export function spansOf(
  text: string,
  tokens: readonly string[],
  kindOf: (index: number) => TokenKind,
): Span[] {
  const form = formOf(text)
  const spans: Span[] = []
  let at = 0
  let unknown: number | null = null
  for (const [index, token] of tokens.entries()) {
    spans.push(null)
    const kind = kindOf(index)
    if (kind === 'unknown') unknown ??= index
    if (kind !== 'text') continue
    const characters = charactersOf(token)
    const found = find(form, characters, at, unknown === null ? 1 : LOOKAHEAD)
    if (unknown !== null) spans[unknown] = spanOf(form, at, found)
    unknown = null
    at = Math.min(found + characters.length, form.characters.length)
    spans[index] = spanOf(form, found, at)
  }
  if (unknown !== null) spans[unknown] = spanOf(form, at, form.characters.length)
  return spans
}

/** The same for vocabularies whose letters stand for bytes, where nothing is lost and so everything adds up. */
export function byteSpansOf(
  text: string,
  tokens: readonly string[],
  kindOf: (index: number) => TokenKind,
): Span[] {
  const places = bytePlaces(text)
  const spaces = /^\s*/.exec(text)?.[0].length ?? 0
  // Some put a space in front of the first word, which the text has not.
  let at = spaces === 0 && tokens.find((_, index) => kindOf(index) === 'text')?.[0] === 'Ġ' ? -1 : 0
  return tokens.map((token, index) => {
    if (kindOf(index) !== 'text') return null
    const start = at + (token.startsWith('Ġ') ? 1 : 0)
    at += token.length
    const [from, to] = [places[start], places[at - 1]]
    return from === undefined || to === undefined || start >= at ? null : [from[0], to[1]]
  })
}

function spanOf({ starts, ends }: Form, from: number, to: number): Span {
  const last = Math.min(to, ends.length) - 1
  return from > last ? null : [starts[from]!, ends[last]!]
}

function find({ characters }: Form, wanted: string[], from: number, lookahead: number): number {
  for (let start = from; start < from + lookahead; start++) {
    if (wanted.every((character, index) => characters[start + index] === character)) return start
  }
  return from
}

/** Spaces are in no token's way. */
function formOf(text: string): Form {
  const form: Form = { characters: [], starts: [], ends: [] }
  let start = 0
  for (const character of text) {
    const end = start + character.length
    // An accent that is a character of its own is part of the letter before it.
    if (/\p{Mn}/u.test(character) && form.ends.length > 0) form.ends[form.ends.length - 1] = end
    for (const one of charactersOf(character)) {
      form.characters.push(one)
      form.starts.push(start)
      form.ends.push(end)
    }
    start = end
  }
  return form
}

function charactersOf(piece: string): string[] {
  const plain = piece.replaceAll(DECORATION, '').normalize('NFKD').toLowerCase()
  return [...plain.replaceAll(/[\p{Mn}\p{Cc}\s]/gu, '')]
}

/** For each byte of a text's UTF-8, where the character is that it is part of. */
function bytePlaces(text: string): [start: number, end: number][] {
  const places: [number, number][] = []
  let start = 0
  for (const character of text) {
    const end = start + character.length
    for (let byte = Buffer.byteLength(character); byte > 0; byte--) places.push([start, end])
    start = end
  }
  return places
}
