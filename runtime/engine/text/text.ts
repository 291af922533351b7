// The only part of the engine that knows text: prompts become token ids here, token ids become answers.
//
// Knows: the version's tokenizer and chat template. Does not know: sequences, slots, sampling.

import { readFile } from 'node:fs/promises'
import path from 'node:path'

import { Tokenizer } from '@huggingface/tokenizers'

import type { DecoderManifest } from '../../../models/manifest.ts'
import type { Prompt } from '../../protocol.ts'
import { Refusal } from '../refusal.ts'
import { Answer } from './answer.ts'
import type { AnswerOptions } from './answer.ts'
import { ChatTemplate } from './chat-template.ts'
import { Detokeniser } from './detokeniser.ts'
import { TokenBytes } from './token-bytes.ts'
import type { DecoderConfig } from './token-bytes.ts'

export interface TextSources {
  /** contents of tokenizer.json */
  tokenizer: object
  /** contents of tokenizer_config.json */
  config: Readonly<Record<string, unknown>>
  chatTemplate: string | null
  bosTokenId: number | null
  endTokenIds: readonly number[]
  vocabSize: number
  /** most tokens of a sequence: a prompt that can't fit is not tokenised to its end */
  contextTokens: number
}

// Prose has four or five characters to a token, and nothing that is asked of a model has many more than this over a whole
// context. What a text this long costs is bounded; a body of megabytes would hold up every other sequence for seconds.
const CHARACTERS_PER_TOKEN = 8

export class Text {
  readonly endTokenIds: ReadonlySet<number>
  readonly #sources: TextSources
  readonly #tokenizer: Tokenizer
  readonly #template: ChatTemplate | null
  readonly #tokenBytes: TokenBytes

  /** @throws where the tokenizer or the template can't be used */
  constructor(sources: TextSources) {
    this.#sources = sources
    this.endTokenIds = new Set(sources.endTokenIds)
    this.#tokenizer = new Tokenizer(sources.tokenizer, sources.config)
    this.#template =
      sources.chatTemplate === null ? null : new ChatTemplate(sources.chatTemplate, sources.config)
    this.#tokenBytes = new TokenBytes(
      this.#tokenizer,
      readDecoder(sources.tokenizer),
      this.endTokenIds,
    )
  }

  /** @throws Refusal */
  encode(prompt: Prompt): number[] {
    const ids = this.#encode(prompt)
    if (ids.length === 0) {
      throw new Refusal('invalid_request', 'The prompt is empty; at least one token is needed.')
    }
    return ids
  }

  /** The prompt's own text, to stand in front of the answer. */
  echo(prompt: Prompt): string {
    if (prompt.kind === 'text') return prompt.text
    if (prompt.kind === 'chat') {
      throw new Refusal(
        'invalid_request',
        'echo is for text and tokens; a chat can not be given back.',
      )
    }
    const detokeniser = new Detokeniser(this.#tokenBytes, false)
    return prompt.ids.map((id) => detokeniser.push(id)).join('') + detokeniser.end()
  }

  answer(options: AnswerOptions): Answer {
    return new Answer(this.#tokenBytes, options)
  }

  #encode(prompt: Prompt): number[] {
    switch (prompt.kind) {
      case 'tokens':
        return this.#check(prompt.ids)
      case 'text':
        return this.#tokenise(prompt.text, true)
      case 'chat':
        if (!this.#template) {
          const message =
            'This version has no chat template: it can continue a text, not answer a chat.'
          throw new Refusal('invalid_request', message)
        }
        // A template writes the marks at a text's beginning itself.
        return this.#tokenise(this.#template.render(prompt.messages), false)
    }
  }

  #check(ids: readonly number[]): number[] {
    const { vocabSize } = this.#sources
    const wrong = ids.find((id) => !Number.isInteger(id) || id < 0 || id >= vocabSize)
    if (wrong !== undefined) {
      const message = `The prompt has the token ${wrong}; this version's are 0 to ${vocabSize - 1}.`
      throw new Refusal('invalid_request', message)
    }
    return [...ids]
  }

  #tokenise(text: string, addsMarks: boolean): number[] {
    const { contextTokens, bosTokenId } = this.#sources
    this.#refuseHopeless(text, contextTokens)
    const { ids } = this.#tokenizer.encode(text, { add_special_tokens: addsMarks })
    // A text that brings its own beginning needs no second one.
    const isDoubled =
      addsMarks && bosTokenId !== null && ids[0] === bosTokenId && ids[1] === bosTokenId
    return isDoubled ? ids.slice(1) : ids
  }

  #refuseHopeless(text: string, contextTokens: number): void {
    const most = contextTokens * CHARACTERS_PER_TOKEN
    if (text.length <= most) return
    const { ids } = this.#tokenizer.encode(text.slice(0, most), { add_special_tokens: false })
    if (ids.length <= contextTokens) return
    const promptTokens = Math.round((ids.length * text.length) / most)
    throw new Refusal(
      'context_length_exceeded',
      `This version's context is ${contextTokens} tokens; the prompt has about ${promptTokens}.`,
      { promptTokens, contextTokens },
    )
  }
}

/** Reads a version's tokenizer from its folder. */
export async function loadText(
  folder: string,
  manifest: DecoderManifest,
  contextTokens: number,
): Promise<Text> {
  const { file, configFile, bosTokenId, endTokenIds } = manifest.tokenizer
  const [tokenizer, config] = await Promise.all([
    readJson(path.join(folder, file)),
    readJson(path.join(folder, configFile)),
  ])
  const { chatTemplate } = manifest
  const { vocabSize } = manifest.architecture
  return new Text({
    tokenizer,
    config,
    chatTemplate,
    bosTokenId,
    endTokenIds,
    vocabSize,
    contextTokens,
  })
}

async function readJson(file: string): Promise<Record<string, unknown>> {
  const content: unknown = JSON.parse(await readFile(file, 'utf8'))
  if (typeof content !== 'object' || content === null) throw new Error(`${file} holds no object.`)
  return content as Record<string, unknown>
}

function readDecoder(tokenizer: object): DecoderConfig | null {
  return 'decoder' in tokenizer ? (tokenizer.decoder as DecoderConfig | null) : null
}
