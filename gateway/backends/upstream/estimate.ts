// How many tokens a text is, roughly, where nobody counts them.
//
// Tokenizers of large vocabularies take about four characters of English or code to a token, and about one and a half
// of scripts beyond Latin. That is right within a fifth for most texts: good enough to bill what an upstream did not
// count, and always marked as estimated.

import type { Question, TextPrompt } from '../backend.ts'
import type { Message } from '../conversation.ts'

const CHARACTERS_PER_TOKEN = 4
const OTHER_CHARACTERS_PER_TOKEN = 1.5
/** role and separators of a message */
const TOKENS_PER_MESSAGE = 4
/** a picture of medium size; what it really costs depends on the model */
const TOKENS_PER_MEDIUM = 500

export function estimateTokens(text: string): number {
  let others = 0
  for (let at = 0; at < text.length; at++) {
    if (text.charCodeAt(at) > 0x2ff) others++
  }
  const latin = text.length - others
  return Math.ceil(latin / CHARACTERS_PER_TOKEN + others / OTHER_CHARACTERS_PER_TOKEN)
}

export function estimatePromptTokens(question: Question): number {
  if (question.kind === 'completion') return estimateTextPrompts(question.prompts)
  let tokens = 0
  for (const message of question.messages) tokens += estimateMessage(message)
  if (question.tools.length > 0) tokens += estimateTokens(JSON.stringify(question.tools))
  return tokens
}

export function estimateTextPrompts(prompts: TextPrompt[]): number {
  let tokens = 0
  for (const prompt of prompts) {
    tokens += prompt.kind === 'text' ? estimateTokens(prompt.text) : prompt.ids.length
  }
  return tokens
}

function estimateMessage(message: Message): number {
  let tokens = TOKENS_PER_MESSAGE
  for (const part of message.content) {
    tokens += part.type === 'text' ? estimateTokens(part.text) : TOKENS_PER_MEDIUM
  }
  if (message.role === 'assistant') {
    for (const call of message.toolCalls) tokens += estimateTokens(call.name + call.arguments)
  }
  return tokens
}
