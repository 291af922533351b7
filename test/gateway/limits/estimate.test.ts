import assert from 'node:assert/strict'
import test from 'node:test'

import {
  estimatePrompt,
  estimateText,
  needOf,
  needOfEmbedding,
} from '../../../gateway/limits/estimate.ts'
import type { Chat } from '../../../gateway/backends/backend.ts'
import type { Part } from '../../../gateway/backends/conversation.ts'
import type { Route } from '../../../gateway/routing/route.ts'

// Counted with SmolLM2's tokenizer, whose vocabulary of 49,152 is small: others need rather fewer tokens.
const TEXTS = {
  English: {
    tokens: 88,
    text: `The gateway's event loop never computes. Templates, tokenising, sampling and the forward pass are in the engine; the gateway moves bytes and makes decisions. When a client hangs up in the middle of a stream, its slot is free within one step, and whoever waited the longest gets it. An answer that breaks off never looks complete: it ends with an error, and without the mark that says that all of it was sent.`,
  },
  code: {
    tokens: 104,
    text: `async function collect<T>(items: AsyncIterable<T>): Promise<T[]> {\n  const collected: T[] = []\n  for await (const item of items) {\n    if (item !== undefined) collected.push(item)\n  }\n  return collected\n}\n\nexport class Counter {\n  #value = 0\n\n  increment(by = 1): number {\n    this.#value += by\n    return this.#value\n  }\n}\n`,
  },
  JSON: {
    tokens: 86,
    text: `{"name":"get_weather","description":"Current weather of a place","parameters":{"type":"object","properties":{"city":{"type":"string","description":"name of the city"},"unit":{"type":"string","enum":["celsius","fahrenheit"]},"days":{"type":"integer","minimum":1,"maximum":14}},"required":["city"],"additionalProperties":false}}`,
  },
  German: {
    tokens: 88,
    text: `Das Haus liegt am Ufer eines Baches, der im Sommer fast versiegt und im Frühjahr die Wiesen überschwemmt. Wer von der Straße kommt, muss über eine schmale Brücke gehen, deren Geländer der Großvater noch selbst geschmiedet hat.`,
  },
  Russian: {
    tokens: 115,
    text: `Все счастливые семьи похожи друг на друга, каждая несчастливая семья несчастлива по-своему. Всё смешалось в доме, и никто не знал, что будет завтра.`,
  },
  Chinese: {
    tokens: 85,
    text: `网关的事件循环从不进行计算。模板、分词、采样和前向传播都在引擎中完成；网关只负责移动字节并作出决定。`,
  },
}

const chat = (content: Part[], changes: Partial<Chat> = {}): Chat => ({
  kind: 'chat',
  id: 'exchange-1',
  promptParam: 'messages',
  isStreamed: false,
  choices: 1,
  sampling: {},
  stop: [],
  extra: {},
  dialect: 'openai',
  messages: [{ role: 'user', content }],
  tools: [],
  ...changes,
})

const tokensOf = (...content: Part[]) => estimatePrompt(chat(content))

test('English, code and JSON are estimated to a quarter', () => {
  for (const [name, { text, tokens }] of Object.entries(TEXTS).slice(0, 3)) {
    const ratio = estimateText(text) / tokens
    assert.ok(ratio > 0.75 && ratio < 1.25, `${name}: ${ratio}`)
  }
})

test('other languages are not more than two and a half times what was estimated', () => {
  for (const [name, { text, tokens }] of Object.entries(TEXTS).slice(3)) {
    const ratio = estimateText(text) / tokens
    assert.ok(ratio > 0.4 && ratio < 1.25, `${name}: ${ratio}`)
  }
})

test('images, sound and files are estimated by what they are, not by the length of their base64', () => {
  const text: Part = { type: 'text', text: 'x'.repeat(400) }
  const data = 'A'.repeat(1_000_000)
  const source = { kind: 'base64' as const, mediaType: 'image/png', data }
  assert.equal(tokensOf(text), 104)
  assert.equal(tokensOf(text, { type: 'image', source }), 104 + 765)
  const sound = tokensOf({ type: 'audio', data, format: 'mp3' })
  assert.ok(sound > 300 && sound < 700, String(sound))
  const file = tokensOf({ type: 'file', source })
  assert.ok(file > 5_000 && file < 30_000, String(file))
})

test('tools, schemas and earlier tool calls count', () => {
  const bare = tokensOf({ type: 'text', text: 'Hi' })
  const parameters = JSON.parse(TEXTS.JSON.text) as Record<string, unknown>
  const tool = { name: 'get_weather', description: 'Weather.', parameters }
  const withTool = estimatePrompt(chat([{ type: 'text', text: 'Hi' }], { tools: [tool] }))
  assert.ok(withTool - bare > 80)
  const call = { id: 'c', name: 'f', arguments: TEXTS.JSON.text }
  const promptTokens = estimatePrompt(
    chat([], { messages: [{ role: 'assistant', content: [], toolCalls: [call] }] }),
  )
  assert.ok(promptTokens > 80)
})

test('every choice of every prompt may be as long as was asked for', () => {
  const text = [{ type: 'text', text: 'Hi' } satisfies Part]
  const price = { input: 1, output: 2 }
  const route = { model: 'guide', targets: [{ price }] } as unknown as Route
  assert.equal(needOf(chat(text, { maxTokens: 50, choices: 3 }), route).maxTokens, 150)
  assert.equal(needOf(chat(text), route).maxTokens, null)
  const prompts = [
    { kind: 'tokens' as const, ids: [1, 2, 3] },
    { kind: 'text' as const, text: 'four' },
  ]
  const { messages: _messages, tools: _tools, ...rest } = chat([], { maxTokens: 5, choices: 2 })
  const completion = needOf({ ...rest, kind: 'completion', prompts, echo: false }, route)
  assert.deepEqual([completion.promptTokens(), completion.maxTokens], [4, 20])
  const embedding = needOfEmbedding({ id: 'e', inputs: prompts, extra: {} }, route)
  assert.deepEqual([embedding.promptTokens(), embedding.maxTokens], [4, 0])
  assert.equal(embedding.price, price)
})
