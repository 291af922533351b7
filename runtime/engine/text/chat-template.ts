// Renders a conversation with the version's chat template.
//
// The template sees what it would see in transformers: messages, add_generation_prompt, the special tokens by name,
// raise_exception and strftime_now (those two come with the library). A template that raises has found something wrong with
// the messages; what it says is passed on.
//
// Knows: Jinja, messages. Does not know: tokens.

import { Template } from '@huggingface/jinja'

import type { ChatMessage } from '../../protocol.ts'
import { Refusal } from '../refusal.ts'

const SPECIAL_TOKENS = ['bos_token', 'eos_token', 'unk_token', 'pad_token'] as const

export class ChatTemplate {
  readonly #template: Template
  readonly #specialTokens: Record<string, string>
  readonly #knowsDeveloper: boolean

  /**
   * @param source Jinja
   * @param config contents of tokenizer_config.json
   * @throws where the template can't be parsed
   */
  constructor(source: string, config: Readonly<Record<string, unknown>>) {
    this.#template = new Template(source)
    this.#specialTokens = readSpecialTokens(config)
    this.#knowsDeveloper = source.includes('developer')
  }

  /** @throws Refusal with the template's own words */
  render(messages: readonly ChatMessage[]): string {
    try {
      return this.#template.render({
        ...this.#specialTokens,
        messages: messages.map((message) => this.#translate(message)),
        tools: null,
        documents: null,
        add_generation_prompt: true,
      })
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error)
      const message = `This version's chat template can't take these messages: ${reason}`
      throw new Refusal('invalid_request', message, {}, { cause: error })
    }
  }

  /** What OpenAI calls developer has been called system by every model before. */
  #translate(message: ChatMessage): ChatMessage {
    if (message.role !== 'developer' || this.#knowsDeveloper) return message
    return { ...message, role: 'system' }
  }
}

/** Special tokens are written as strings or as objects with their content. */
function readSpecialTokens(config: Readonly<Record<string, unknown>>): Record<string, string> {
  const tokens: Record<string, string> = {}
  for (const name of SPECIAL_TOKENS) {
    const token = config[name]
    if (typeof token === 'string') tokens[name] = token
    else if (typeof token === 'object' && token !== null && 'content' in token) {
      tokens[name] = String(token.content)
    }
  }
  return tokens
}
