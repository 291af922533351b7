// How many tokens a question will take, roughly, before anybody has tokenised it.
//
// A reservation needs a figure at once and only until the real one is known. Four bytes of UTF-8 are about a token:
// English has 4.5 of them, code and JSON 3 to 4; Russian and Chinese 5 to 7 where the vocabulary was made for them, and 2
// where it was made for English. The bytes are counted by the machine's fastest loop: a megabyte of prompt costs less
// than a millisecond.
//
// Knows: questions. Does not know: tokenizers, limits.

import type {
  ClassifyQuestion,
  EmbeddingQuestion,
  Question,
  RerankQuestion,
  TextPrompt,
} from '../backends/backend.ts'
import type { Message, Part, Source } from '../backends/conversation.ts'
import type { Route } from '../routing/route.ts'
import type { Need } from './claim.ts'

const BYTES_PER_TOKEN = 4
/** role and separators, as chat templates write them */
const MESSAGE_TOKENS = 4
/** what is around a tool's schema */
const TOOL_TOKENS = 8
/** OpenAI's for an image of 1024 × 1024 in high detail; small ones are 85, large ones twice as much */
const IMAGE_TOKENS = 765
/** base64 of compressed speech: ten tokens a second, at about 16 KB a second */
const AUDIO_BYTES_PER_TOKEN = 2_100
/** base64 of documents, which are mostly layout: a page of a PDF is about 1,500 tokens and 75 KB */
const FILE_BYTES_PER_TOKEN = 65
/** a document that is somewhere else, of unknown size: two pages */
const REMOTE_FILE_TOKENS = 3_000

/** What an answer needs at most; a request's prompt is read only where a limit asks for it. */
export function needOf(question: Question, { model, targets }: Route): Need {
  const { maxTokens, choices } = question
  const answers = question.kind === 'chat' ? choices : choices * question.prompts.length
  return {
    model,
    promptTokens: () => estimatePrompt(question),
    maxTokens: maxTokens === undefined ? null : maxTokens * answers,
    price: targets[0]?.price ?? null,
  }
}

export function needOfEmbedding({ inputs }: EmbeddingQuestion, route: Route): Need {
  return needOfPrompt(() => sum(inputs, ofPrompt), route)
}

/** The query is read with each of the documents. */
export function needOfRerank({ query, documents }: RerankQuestion, route: Route): Need {
  const read = () => documents.length * estimateText(query) + sum(documents, estimateText)
  return needOfPrompt(read, route)
}

export function needOfClassify({ inputs }: ClassifyQuestion, route: Route): Need {
  const read = () =>
    sum(inputs, (input) =>
      typeof input === 'string' ? estimateText(input) : estimateText(input.text + input.pair),
    )
  return needOfPrompt(read, route)
}

function needOfPrompt(promptTokens: () => number, { model, targets }: Route): Need {
  return { model, promptTokens, maxTokens: 0, price: targets[0]?.price ?? null }
}

export function estimateText(text: string): number {
  return Math.ceil(Buffer.byteLength(text) / BYTES_PER_TOKEN)
}

export function estimatePrompt(question: Question): number {
  if (question.kind === 'completion') return sum(question.prompts, ofPrompt)
  const { messages, tools, responseFormat } = question
  const schema = responseFormat?.type === 'json_schema' ? ofJson(responseFormat.schema) : 0
  const ofTools = sum(
    tools,
    ({ name, description = '', parameters }) =>
      TOOL_TOKENS + estimateText(name) + estimateText(description) + ofJson(parameters),
  )
  return sum(messages, ofMessage) + ofTools + schema
}

function ofMessage(message: Message): number {
  let tokens = MESSAGE_TOKENS + sum(message.content, ofPart)
  if (message.role === 'assistant') {
    tokens += sum(message.toolCalls, (call) => estimateText(call.name + call.arguments))
    tokens += sum(message.reasoning ?? [], ({ text }) => estimateText(text))
    tokens += estimateText(message.refusal ?? '')
  }
  return tokens
}

function ofPart(part: Part): number {
  switch (part.type) {
    case 'text':
      return estimateText(part.text)
    case 'image':
      return IMAGE_TOKENS
    case 'audio':
      return Math.ceil(part.data.length / AUDIO_BYTES_PER_TOKEN)
    case 'file':
      return ofFile(part.source)
  }
}

function ofFile(source: Source): number {
  return source.kind === 'base64'
    ? Math.ceil(source.data.length / FILE_BYTES_PER_TOKEN)
    : REMOTE_FILE_TOKENS
}

function ofPrompt(prompt: TextPrompt): number {
  return prompt.kind === 'text' ? estimateText(prompt.text) : prompt.ids.length
}

function ofJson(value: unknown): number {
  return estimateText(JSON.stringify(value))
}

function sum<T>(items: T[], of: (item: T) => number): number {
  return items.reduce((total, item) => total + of(item), 0)
}
