// Answers and chunks as OpenAI's own servers write them, for scripted upstreams.

import type { Script, ScriptedExchange, StreamOptions } from './scripted-upstream.ts'

export const USAGE = {
  prompt_tokens: 9,
  completion_tokens: 4,
  total_tokens: 13,
  prompt_tokens_details: { cached_tokens: 5 },
  completion_tokens_details: { reasoning_tokens: 2 },
}

const HEAD = { id: 'chatcmpl-1', object: 'chat.completion.chunk', created: 1, model: 'gpt' }

/** One choice's piece of a chat. */
export function chunk(delta: object, finishReason: string | null = null, more: object = {}) {
  return {
    ...HEAD,
    choices: [{ index: 0, delta, logprobs: null, finish_reason: finishReason }],
    ...more,
  }
}

export const usageChunk = (usage: object = USAGE) => ({ ...HEAD, choices: [], usage })

/** All chunks of a chat that says these words, `[DONE]` included. */
export function chatChunks(words: string[]): unknown[] {
  return [
    chunk({ role: 'assistant', content: '', refusal: null }),
    ...words.map((content) => chunk({ content })),
    chunk({}, 'stop'),
    usageChunk(),
    '[DONE]',
  ]
}

export const chatBody = (message: object, more: object = {}) => ({
  id: 'chatcmpl-1',
  object: 'chat.completion',
  created: 1,
  model: 'gpt',
  choices: [{ index: 0, message: { role: 'assistant', ...message }, finish_reason: 'stop' }],
  usage: USAGE,
  ...more,
})

/** Answers chats as a well-behaved server would, streamed or not, as it is asked. */
export function answerChat(words: string[], options: StreamOptions = {}): Script {
  return async (exchange: ScriptedExchange) => {
    if (!exchange.request.json?.stream) {
      return exchange.json(200, chatBody({ content: words.join('') }))
    }
    await exchange.stream(chatChunks(words), options)
    await exchange.end()
  }
}
