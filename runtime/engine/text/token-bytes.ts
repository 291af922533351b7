// The bytes that each token stands for, from a tokenizer.json.
//
// Two kinds of vocabulary are met in the families served here: byte-level ones (GPT-2's), whose tokens are written with one
// letter for each byte, and SentencePiece's, whose tokens are text with ▁ for a space, beside 256 tokens <0x00>…<0xFF> for
// bytes. Either way an answer is the bytes of its tokens, one after the other; that is all the decoder's steps in
// tokenizer.json come to, except for a space that is taken off at the front.
//
// Knows: tokenizer.json's decoders. Does not know: sequences of tokens, UTF-8's rules.

import type { AddedToken, Tokenizer } from '@huggingface/tokenizers'

/** The decoder section of a tokenizer.json, as far as it is understood here. */
export interface DecoderConfig {
  type: string
  decoders?: DecoderConfig[]
  pattern?: { String?: string; Regex?: string }
  content?: string
  start?: number
  stop?: number
  replacement?: string
  prepend_scheme?: string
}

const NOTHING = new Uint8Array(0)
const BYTE_TOKEN = /^<0x([0-9A-Fa-f]{2})>$/

export class TokenBytes {
  /** a text's first space is put there by the tokenizer and isn't part of it */
  readonly stripsLeadingSpace: boolean
  readonly #tokenizer: Tokenizer
  readonly #added: Map<number, AddedToken>
  readonly #endTokenIds: ReadonlySet<number>
  readonly #isByteLevel: boolean
  readonly #hasByteTokens: boolean
  readonly #replacements: [from: string, to: string][] = []
  readonly #bytes = new Map<number, Uint8Array>()
  readonly #byteOfLetter = byteLevelAlphabet()
  readonly #encoder = new TextEncoder()

  /** @throws where the decoder does what is not understood here */
  constructor(
    tokenizer: Tokenizer,
    decoder: DecoderConfig | null,
    endTokenIds: ReadonlySet<number>,
  ) {
    this.#tokenizer = tokenizer
    this.#added = tokenizer.get_added_tokens_decoder()
    this.#endTokenIds = endTokenIds
    const steps = decoder ? (decoder.decoders ?? [decoder]) : []
    this.#isByteLevel = steps.some(({ type }) => type === 'ByteLevel')
    this.#hasByteTokens = steps.some(({ type }) => type === 'ByteFallback')
    this.stripsLeadingSpace = steps.some(isLeadingSpaceStrip)
    for (const step of steps) {
      const replacement = readReplacement(step)
      if (replacement) this.#replacements.push(replacement)
    }
  }

  /** Whether a token is a mark for the model and no text. */
  isSpecial(id: number): boolean {
    return this.#endTokenIds.has(id) || this.#added.get(id)?.special === true
  }

  /** The token's own bytes; special tokens have those of their name. Do not write to them. */
  of(id: number): Uint8Array {
    let bytes = this.#bytes.get(id)
    if (!bytes) {
      bytes = this.#read(id)
      this.#bytes.set(id, bytes)
    }
    return bytes
  }

  #read(id: number): Uint8Array {
    const added = this.#added.get(id)
    if (added) return this.#encoder.encode(added.content)
    // Vocabularies are padded: the graph has rows, and may choose tokens, that the tokenizer has no name for.
    const token = this.#tokenizer.id_to_token(id)
    if (token === undefined) return NOTHING
    if (this.#isByteLevel) return this.#readLetters(token)
    const byte = this.#hasByteTokens ? BYTE_TOKEN.exec(token)?.[1] : undefined
    if (byte !== undefined) return Uint8Array.of(Number.parseInt(byte, 16))
    let text = token
    for (const [from, to] of this.#replacements) text = text.replaceAll(from, to)
    return this.#encoder.encode(text)
  }

  #readLetters(token: string): Uint8Array {
    const bytes: number[] = []
    for (const letter of token) {
      const byte = this.#byteOfLetter.get(letter)
      // A token outside of the alphabet was never learnt from bytes; it is the text that it looks like.
      if (byte === undefined) return this.#encoder.encode(token)
      bytes.push(byte)
    }
    return Uint8Array.from(bytes)
  }
}

function isLeadingSpaceStrip({ type, content, start, prepend_scheme }: DecoderConfig): boolean {
  if (type === 'Strip') return content === ' ' && start === 1
  return type === 'Metaspace' && prepend_scheme !== 'never'
}

function readReplacement(step: DecoderConfig): [string, string] | null {
  const { type, pattern, content, start, stop } = step
  if (type === 'Replace' && typeof pattern?.String === 'string')
    return [pattern.String, content ?? '']
  if (type === 'Metaspace') return [step.replacement ?? '\u2581', ' ']
  const isKnown =
    ['ByteLevel', 'ByteFallback', 'Fuse'].includes(type) ||
    (type === 'Strip' && content === ' ' && start === 1 && !stop)
  if (isKnown) return null
  const allowed =
    'ByteLevel, ByteFallback, Fuse, Metaspace, Replace of a string, Strip of one space in front'
  throw new Error(
    `tokenizer.json: its decoder has the step ${JSON.stringify(step)}; supported are ${allowed}.`,
  )
}

/** GPT-2's letters: printable bytes are themselves, the others are numbered from U+0100 on. */
function byteLevelAlphabet(): Map<string, number> {
  const letters = new Map<string, number>()
  let next = 0x100
  for (let byte = 0; byte < 0x100; byte++) {
    const isPrintable = (byte > 0x20 && byte < 0x7f) || (byte > 0xa0 && byte !== 0xad)
    letters.set(String.fromCodePoint(isPrintable ? byte : next++), byte)
  }
  return letters
}
