// A question as the body of generateContent, or the refusal of what that API has no word for.
//
// Format: https://ai.google.dev/api/generate-content
//
// Knows: our questions, Gemini's body. Does not know: HTTP, answers. Messages are written in contents.ts.

import { writeContents } from './contents.ts'
import { cantHonour, chatOnly, passExtra, refuseSampling } from '../unsupported.ts'
import { paramName } from '../../param-name.ts'
import type { Chat, Question } from '../../backend.ts'
import type { Tool, ToolChoice } from '../../conversation.ts'
import type { Fields } from '../wire-fields.ts'

/**
 * @param model as the upstream calls it: what "thinking" takes differs between generations
 * @throws GatewayError
 */
export function writeGenerateBody(question: Question, model: string): Fields {
  const chat = chatOnly(question)
  const extra = passExtra(chat, 'gemini')
  const config = writeConfig(chat, model)
  return {
    ...writeAsked(chat),
    ...(Object.keys(config).length > 0 && { generationConfig: config }),
    ...extra,
  }
}

/** What becomes the prompt, and nothing else. */
export function writeCountBody(chat: Chat, model: string): Fields {
  passExtra(chat, 'gemini')
  return { generateContentRequest: { model, ...writeAsked(chat) } }
}

function writeAsked(chat: Chat): Fields {
  const { systemInstruction, contents } = writeContents(chat)
  const { tools, toolChoice } = chat
  if (chat.parallelToolCalls === false && tools.length > 0) {
    const param = paramName('parallel_tool_calls', chat.dialect)
    throw cantHonour(param, 'it may call several tools at once')
  }
  return {
    contents,
    ...(systemInstruction && { systemInstruction }),
    ...(tools.length > 0 && { tools: [{ functionDeclarations: tools.map(writeTool) }] }),
    ...(tools.length > 0 &&
      toolChoice !== undefined && {
        toolConfig: { functionCallingConfig: writeChoice(toolChoice) },
      }),
  }
}

/** `strict` is not said there: arguments always follow the schema, as far as the model can. */
function writeTool({ name, description, parameters }: Tool): Fields {
  return {
    name,
    ...(description !== undefined && { description }),
    parametersJsonSchema: parameters,
  }
}

function writeChoice(choice: ToolChoice): Fields {
  if (typeof choice === 'object') return { mode: 'ANY', allowedFunctionNames: [choice.name] }
  return { mode: { auto: 'AUTO', none: 'NONE', required: 'ANY' }[choice] }
}

function writeConfig(chat: Chat, model: string): Fields {
  const { sampling, maxTokens, stop, choices } = chat
  refuseSampling(sampling, [
    'temperature',
    'topP',
    'topK',
    'seed',
    'presencePenalty',
    'frequencyPenalty',
  ])
  const { temperature, topP, topK, seed, presencePenalty, frequencyPenalty } = sampling
  return {
    ...(choices > 1 && { candidateCount: choices }),
    ...(maxTokens !== undefined && { maxOutputTokens: maxTokens }),
    ...(stop.length > 0 && { stopSequences: stop }),
    ...(temperature !== undefined && { temperature }),
    ...(topP !== undefined && { topP }),
    ...(topK !== undefined && topK > 0 && { topK }),
    ...(seed !== undefined && { seed: readSeed(seed) }),
    ...(presencePenalty && { presencePenalty }),
    ...(frequencyPenalty && { frequencyPenalty }),
    ...writeFormat(chat),
    ...writeThinking(chat, model),
  }
}

const MAX_SEED = 2 ** 31 - 1

function readSeed(seed: number): number {
  if (Math.abs(seed) <= MAX_SEED) return seed
  throw cantHonour('seed', `it takes -${MAX_SEED} to ${MAX_SEED}; got ${seed}`)
}

function writeFormat({ responseFormat }: Chat): Fields {
  switch (responseFormat?.type) {
    case undefined:
    case 'text':
      return {}
    case 'json_object':
      return { responseMimeType: 'application/json' }
    case 'json_schema':
      return {
        responseMimeType: 'application/json',
        responseJsonSchema: responseFormat.schema,
      }
  }
}

/** What Google's own OpenAI-compatible address makes of OpenAI's words for generations that take tokens. */
const BUDGETS: Partial<Record<string, number>> = {
  none: 0,
  minimal: 1024,
  low: 1024,
  medium: 8192,
  high: 24576,
}
const LEVELS = ['minimal', 'low', 'medium', 'high']

function writeThinking({ reasoningEffort: effort, dialect }: Chat, model: string): Fields {
  if (effort === undefined) return {}
  // Generations up to 2.5 take a number of tokens, later ones a word.
  const takesBudget = /gemini-[12]\b/.test(model)
  const allowed = takesBudget ? Object.keys(BUDGETS) : LEVELS
  if (!allowed.includes(effort)) {
    const words = allowed.map((each) => JSON.stringify(each)).join(', ')
    const param = paramName('reasoning_effort', dialect)
    throw cantHonour(param, `it takes ${words}; got ${JSON.stringify(effort.slice(0, 60))}`)
  }
  const amount = takesBudget ? { thinkingBudget: BUDGETS[effort] } : { thinkingLevel: effort }
  return { thinkingConfig: { ...amount, ...(effort !== 'none' && { includeThoughts: true }) } }
}
