// Texts become token ids here, with the marks that the model's own tokenizer puts around them.
//
// Knows: the version's tokenizer, how long a text may be. Does not know: batches, tensors.

import { readFile } from 'node:fs/promises'
import path from 'node:path'

import { Tokenizer } from '@huggingface/tokenizers'

import type { EncoderManifest } from '../../models/manifest.ts'
import { Refusal } from '../engine/refusal.ts'
import type { EncoderInput } from '../protocol.ts'
import type { Span } from './meaning.ts'
import type { EncodedText } from './runner.ts'
import { byteSpansOf, spansOf } from './spans.ts'
import type { TokenKind } from './spans.ts'

export interface EncoderTextSources {
  /** contents of tokenizer.json */
  tokenizer: object
  /** contents of tokenizer_config.json */
  config: Readonly<Record<string, unknown>>
  vocabSize: number
  /** most tokens of a text, marks included */
  contextTokens: number
}

// What a text of megabytes costs is bounded: no more of it is tokenised than can fit. Hardly a text has more characters to a
// token than the first over a whole context; tables with their spaces have, and what is one unknown word.
const CHARACTERS_PER_TOKEN = [8, 64]

export class EncoderText {
  readonly contextTokens: number
  readonly #tokenizer: Tokenizer
  readonly #vocabSize: number
  /** marks that end every text */
  readonly #ending: number[]
  readonly #readsPairs: boolean
  /** marks before the second text of a pair, more than there are around a text alone */
  readonly #extraMarks: number
  readonly #isByteLevel: boolean
  /** of tokens that are no text */
  readonly #kinds = new Map<string, TokenKind>()

  /** @throws where the tokenizer can't be used */
  constructor({ tokenizer, config, vocabSize, contextTokens }: EncoderTextSources) {
    this.#tokenizer = new Tokenizer(tokenizer, config)
    this.#vocabSize = vocabSize
    this.contextTokens = contextTokens
    const [empty, one] = ['', 'a'].map((text) => this.#tokenizer.encode(text).ids)
    this.#ending = commonEnding(empty ?? [], one ?? [])
    const pair = this.#tokenizer.encode('a', { text_pair: 'a' }).ids
    const [marks, single] = [empty?.length ?? 0, one?.length ?? 0]
    this.#readsPairs = pair.length > single
    this.#extraMarks = pair.length - 2 * single + marks - this.#ending.length
    this.#isByteLevel =
      'decoder' in tokenizer && /"ByteLevel"/.test(JSON.stringify(tokenizer.decoder))
    for (const { content, special } of this.#tokenizer.get_added_tokens_decoder().values()) {
      if (special) this.#kinds.set(content, 'mark')
    }
    const unknown = unknownToken(tokenizer)
    if (unknown !== null) this.#kinds.set(unknown, 'unknown')
  }

  /**
   * @param name what the input is called, for the refusal
   * @param truncates cuts a text that is too long; of a pair, the second text
   * @throws Refusal where it is too long or has no tokens, or the model can't read it
   */
  encode(input: EncoderInput, name: string, truncates: boolean): EncodedText {
    if (typeof input === 'string') return this.#encode(input, null, name, truncates)
    if (!('pair' in input)) return { ids: this.#check(input, name, truncates), segments: null }
    if (!this.#readsPairs) {
      throw new Refusal(
        'invalid_request',
        `This version reads single texts, and ${name} is a pair.`,
      )
    }
    return this.#encode(input.text, input.pair, name, truncates)
  }

  /** Where in a text each of its tokens came from; null for marks. */
  spans(text: string, { ids }: EncodedText): Span[] {
    const tokens = Array.from(ids, (id) => this.#tokenizer.id_to_token(id) ?? '')
    const kindOf = (index: number) => this.#kinds.get(tokens[index] ?? '') ?? 'text'
    return this.#isByteLevel ? byteSpansOf(text, tokens, kindOf) : spansOf(text, tokens, kindOf)
  }

  #encode(text: string, pair: string | null, name: string, truncates: boolean): EncodedText {
    const { ids, segments, isWhole } = this.#tokenise(text, pair)
    const isLong = ids.length > this.contextTokens
    if ((isLong || !isWhole) && !truncates) {
      const characters = text.length + (pair?.length ?? 0)
      throw this.#tooLong(name, isWhole ? ids.length : Math.ceil(characters / 4), !isWhole)
    }
    if (ids.length === 0) {
      const message = `${name} has no token that this version's tokenizer knows.`
      throw new Refusal('invalid_request', message)
    }
    if (!isLong) return { ids, segments }
    const kept = this.contextTokens - this.#ending.length
    if (pair !== null) this.#refuseLongFirst(text, name, kept)
    const cut = [...ids.slice(0, kept), ...this.#ending]
    return { ids: cut, segments: cut.map((_, index) => segments[Math.min(index, kept - 1)] ?? 0) }
  }

  /** @returns the tokens of as much of the texts as may fit, or of more */
  #tokenise(text: string, pair: string | null) {
    for (const [index, perToken] of CHARACTERS_PER_TOKEN.entries()) {
      const most = this.contextTokens * perToken
      const isWhole = text.length <= most && (pair?.length ?? 0) <= most
      const { ids, token_type_ids: segments } = this.#tokenizer.encode(text.slice(0, most), {
        text_pair: pair?.slice(0, most) ?? null,
        return_token_type_ids: true,
      })
      const isLast = index === CHARACTERS_PER_TOKEN.length - 1
      if (isWhole || isLast || ids.length > this.contextTokens) return { ids, segments, isWhole }
    }
    throw new Error('There is no bound to what is tokenised. This is a bug.')
  }

  /** What is left of a pair has to have something of its second text, or the answer says nothing of that. */
  #refuseLongFirst(text: string, name: string, kept: number): void {
    const { ids } = this.#tokenise(text, null)
    if (ids.length + this.#extraMarks < kept) return
    const { contextTokens } = this
    const message =
      `This version reads ${contextTokens} tokens at once; ${name} comes behind a text of ` +
      `${ids.length}, which is never cut.`
    const figures = { promptTokens: ids.length, contextTokens }
    throw new Refusal('context_length_exceeded', message, figures)
  }

  #check(ids: readonly number[], name: string, truncates: boolean): readonly number[] {
    const wrong = ids.find((id) => id >= this.#vocabSize)
    if (wrong !== undefined) {
      const message = `${name} has the token ${wrong}; this version's are 0 to ${this.#vocabSize - 1}.`
      throw new Refusal('invalid_request', message)
    }
    if (ids.length <= this.contextTokens) return ids
    if (truncates) return ids.slice(0, this.contextTokens)
    throw this.#tooLong(name, ids.length, false)
  }

  #tooLong(name: string, promptTokens: number, isEstimated: boolean): Refusal {
    const { contextTokens } = this
    const about = isEstimated ? 'about ' : ''
    return new Refusal(
      'context_length_exceeded',
      `This version reads ${contextTokens} tokens at once; ${name} has ${about}${promptTokens}.`,
      { promptTokens, contextTokens },
    )
  }
}

/** Reads a version's tokenizer from its folder. */
export async function loadEncoderText(
  folder: string,
  { tokenizer, architecture, contextLength }: EncoderManifest,
): Promise<EncoderText> {
  const [json, config] = await Promise.all([
    readJson(path.join(folder, tokenizer.file)),
    readJson(path.join(folder, tokenizer.configFile)),
  ])
  return new EncoderText({
    tokenizer: json,
    config,
    vocabSize: architecture.vocabSize,
    contextTokens: contextLength,
  })
}

async function readJson(file: string): Promise<Record<string, unknown>> {
  const content: unknown = JSON.parse(await readFile(file, 'utf8'))
  if (typeof content !== 'object' || content === null) throw new Error(`${file} holds no object.`)
  return content as Record<string, unknown>
}

/** Its text, which models of pieces (Unigram) name by its id. */
function unknownToken(tokenizer: object): string | null {
  const model: unknown = 'model' in tokenizer ? tokenizer.model : null
  if (typeof model !== 'object' || model === null) return null
  if ('unk_token' in model && typeof model.unk_token === 'string') return model.unk_token
  if (!('unk_id' in model) || !('vocab' in model) || !Array.isArray(model.vocab)) return null
  const entry: unknown = model.vocab[Number(model.unk_id)]
  return Array.isArray(entry) ? String(entry[0]) : null
}

function commonEnding(a: number[], b: number[]): number[] {
  let length = 0
  while (length < a.length && a.at(-1 - length) === b.at(-1 - length)) length++
  return length === 0 ? [] : a.slice(-length)
}
