// The body of POST /v1/responses: its schema, and what it asks for in our own terms.
//
// What is said again in the answer (the settings) is read beside what is asked. What isn't understood here is handed on
// by its name: whether it can be honoured is for whoever answers to say.

import { Type } from 'typebox'

import { GatewayError } from '../../errors.ts'
import { readMetadata } from '../openai/metadata.ts'
import { readStream, SHARED_PARAMETERS } from '../openai/parameters.ts'
import { nullableBoolean, nullableInteger, nullableString, readLater } from '../openai/schema.ts'
import { given } from '../openai/violation.ts'
import { conversationOf } from './conversation.ts'
import { array, invalid, isAbsent, object, oneOf, unsupported } from './fields.ts'
import { readChoosing, readTextFormat, readTools } from './tools.ts'
import type { Static } from 'typebox'
import type { Asked } from '../dialect.ts'
import type { Item } from './item.ts'
import type { WireTool } from './tools.ts'
import type { ResponseFormat } from '../../backends/conversation.ts'

const { model, stream, stream_options, temperature, top_p, user } = SHARED_PARAMETERS

export const ResponseRequest = Type.Object(
  {
    model,
    input: readLater('A string, or an array of items.'),
    instructions: nullableString('A system message. It is not carried over to later responses.'),
    previous_response_id: nullableString('A kept response that this one continues.'),
    store: nullableBoolean('Keep the response, so that it can be continued. The default is true.'),
    stream,
    stream_options,
    temperature,
    top_p,
    top_logprobs: nullableInteger({ minimum: 0, maximum: 20 }),
    max_output_tokens: nullableInteger({ minimum: 1, maximum: 2 ** 31 - 1 }),
    tools: readLater('Functions that the model may call.'),
    tool_choice: readLater('"auto", "none", "required", one function, or some of them.'),
    parallel_tool_calls: nullableBoolean('Several calls in one answer are welcome.'),
    max_tool_calls: nullableInteger({ minimum: 1, description: 'Counts hosted tools only.' }),
    text: readLater('Format of the text: text, any JSON, or JSON of a schema.'),
    reasoning: readLater('How long a model that reasons may do so, and whether it is told.'),
    metadata: readLater('Up to 16 strings by name, given back with the response.'),
    include: readLater('What else the response is to say.'),
    truncation: readLater('"disabled": a prompt that is too long is refused and never cut.'),
    service_tier: readLater('"auto" or "default".'),
    user,
    safety_identifier: nullableString('The end user; it takes the place of user.'),
    prompt_cache_key: nullableString('A hint for upstreams that know it.'),
    prompt_cache_retention: nullableString('A hint for upstreams that know it.'),
    background: nullableBoolean('Not supported: only false is accepted.'),
    conversation: readLater('Not supported: send previous_response_id.'),
    prompt: readLater('Not supported: templates are not kept here.'),
  },
  { additionalProperties: true },
)

export type ResponseRequestBody = Static<typeof ResponseRequest>

/** What of the request is said again in the response. */
export interface ResponseSettings {
  instructions: string | null
  max_output_tokens: number | null
  max_tool_calls: number | null
  metadata: Record<string, string>
  parallel_tool_calls: boolean
  previous_response_id: string | null
  prompt_cache_key: string | null
  reasoning: { effort: string | null; summary: string | null }
  safety_identifier: string | null
  service_tier: 'default'
  store: boolean
  temperature: number | null
  text: { format: ResponseFormat; verbosity?: string }
  tool_choice: unknown
  tools: WireTool[]
  top_logprobs: number
  top_p: number | null
  truncation: 'disabled'
  user?: string
}

const EFFORTS = ['none', 'minimal', 'low', 'medium', 'high', 'xhigh', 'max'] as const
const SUMMARIES = ['auto', 'concise', 'detailed'] as const
const VERBOSITIES = ['low', 'medium', 'high'] as const
const LOGPROBS = 'message.output_text.logprobs'
/** The others are about hosted tools, of which no answer has anything to tell, and about what is told anyway. */
const INCLUDES = [
  LOGPROBS,
  'reasoning.encrypted_content',
  'message.input_image.image_url',
  'file_search_call.results',
  'web_search_call.results',
  'web_search_call.action.sources',
  'computer_call_output.output.image_url',
  'code_interpreter_call.outputs',
] as const

/** @throws GatewayError for what can't be honoured, whoever answers */
export function readSettings(body: ResponseRequestBody): ResponseSettings {
  refuseUnsupported(body)
  if (isAbsent(body.input) && isAbsent(body.previous_response_id)) {
    throw new GatewayError(
      'missing_required_parameter',
      "Missing required parameter: 'input' (a string or an array of items).",
      { param: 'input' },
    )
  }
  const text = isAbsent(body.text) ? {} : object(body.text, 'text')
  const verbosity = text['verbosity']
  return {
    instructions: body.instructions ?? null,
    max_output_tokens: body.max_output_tokens ?? null,
    max_tool_calls: body.max_tool_calls ?? null,
    metadata: readMetadata(body.metadata),
    parallel_tool_calls: body.parallel_tool_calls ?? true,
    previous_response_id: body.previous_response_id ?? null,
    prompt_cache_key: body.prompt_cache_key ?? null,
    reasoning: readReasoning(body.reasoning),
    safety_identifier: body.safety_identifier ?? null,
    service_tier: 'default',
    store: body.store ?? true,
    temperature: body.temperature ?? null,
    text: {
      format: readTextFormat(text['format']),
      ...(!isAbsent(verbosity) && {
        verbosity: oneOf(verbosity, 'text.verbosity', VERBOSITIES),
      }),
    },
    tool_choice: body.tool_choice ?? 'auto',
    tools: readTools(body.tools),
    top_logprobs: body.top_logprobs ?? 0,
    top_p: body.top_p ?? null,
    truncation: 'disabled',
    ...(!isAbsent(body.user) && { user: body.user }),
  }
}

/** @param items of the whole conversation, of which the first `kept` are from earlier responses */
export function askedBy(
  body: ResponseRequestBody,
  settings: ResponseSettings,
  items: Item[],
  kept: number,
): Asked {
  if (items.length === 0) throw invalid('input', 'a string or an array of items', body.input)
  const { text, reasoning, tools } = settings
  const choosing = readChoosing(body.tool_choice, tools)
  return {
    question: {
      kind: 'chat',
      dialect: 'openai-responses',
      promptParam: 'input',
      choices: 1,
      messages: conversationOf(settings.instructions, items, kept),
      sampling: {
        temperature: body.temperature ?? undefined,
        topP: body.top_p ?? undefined,
        logprobs: readLogprobs(body),
      },
      maxTokens: body.max_output_tokens ?? undefined,
      stop: [],
      ...choosing,
      parallelToolCalls:
        choosing.tools.length > 0 ? (body.parallel_tool_calls ?? undefined) : undefined,
      responseFormat: text.format.type === 'text' ? undefined : text.format,
      reasoningEffort: reasoning.effort ?? undefined,
      user: body.safety_identifier ?? body.user ?? undefined,
      extra: readExtra(body, settings),
    },
    model: body.model,
    ...readStream(body),
  }
}

/** What would need something that isn't here: another API's objects, or an answer that nobody waits for. */
function refuseUnsupported(body: ResponseRequestBody) {
  for (const [name, harmless, words] of [
    ['background', [false], 'only false is accepted'],
    ['truncation', ['disabled'], 'only "disabled" is accepted: no prompt is cut silently'],
    ['service_tier', ['auto', 'default'], 'only "auto" and "default" are accepted'],
    ['conversation', [], "send 'previous_response_id' instead"],
    ['prompt', [], "send 'input' and 'instructions' instead"],
  ] as const) {
    const value: unknown = body[name]
    if (isAbsent(value) || harmless.some((allowed) => allowed === value)) continue
    throw unsupported(name, `'${name}' (${given(value)})`, words)
  }
}

function readExtra(body: ResponseRequestBody, { text }: ResponseSettings) {
  const extra: Record<string, unknown> = {}
  for (const [name, value] of Object.entries(body)) {
    if (!Object.hasOwn(ResponseRequest.properties, name)) extra[name] = value
  }
  for (const name of ['mode', 'context'] as const) {
    const value = isAbsent(body.reasoning) ? null : object(body.reasoning, 'reasoning')[name]
    if (!isAbsent(value)) extra[`reasoning.${name}`] = value
  }
  // Hints to those who know them; nobody refuses them.
  for (const name of ['prompt_cache_key', 'prompt_cache_retention'] as const) {
    if (!isAbsent(body[name])) extra[name] = body[name]
  }
  // Medium is what a model does that was told nothing.
  if (text.verbosity !== undefined && text.verbosity !== 'medium') {
    extra['text.verbosity'] = text.verbosity
  }
  return extra
}

function readReasoning(reasoning: unknown): ResponseSettings['reasoning'] {
  if (isAbsent(reasoning)) return { effort: null, summary: null }
  const fields = object(reasoning, 'reasoning')
  const { effort, summary, generate_summary: older } = fields
  return {
    effort: isAbsent(effort) ? null : oneOf(effort, 'reasoning.effort', EFFORTS),
    summary: isAbsent(summary ?? older)
      ? null
      : oneOf(summary ?? older, 'reasoning.summary', SUMMARIES),
  }
}

function readLogprobs({ include, top_logprobs: top }: ResponseRequestBody): number | undefined {
  const included = isAbsent(include)
    ? []
    : array(include, 'include', INCLUDES.length).map((value, index) =>
        oneOf(value, `include[${index}]`, INCLUDES),
      )
  return included.includes(LOGPROBS) ? (top ?? 0) : (top ?? undefined)
}
