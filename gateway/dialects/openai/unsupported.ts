// Parameters of OpenAI's that this server knows and can't honour, and those that ask for nothing.
//
// A client that sends `tools` and gets prose has been lied to. So what would change an answer is refused by name, except
// for the values that ask for what happens anyway. What only tells OpenAI about the client is accepted.
//
// Checklist for a parameter that becomes supported: take it out of here, put it into the request's schema and reader.

import { GatewayError } from '../../errors.ts'
import { nullableString, readLater } from './schema.ts'
import { given } from './violation.ts'

type Harmless = (value: unknown) => boolean

const never: Harmless = () => false
const only =
  (...values: unknown[]): Harmless =>
  (value) =>
    values.includes(value)
const emptyArray: Harmless = (value) => Array.isArray(value) && value.length === 0

/** name → the values that may stay, as a test and in words */
const UNSUPPORTED: Record<string, [Harmless, string?]> = {
  tools: [emptyArray, 'an empty array'],
  tool_choice: [only('none'), '"none"'],
  functions: [emptyArray, 'an empty array'],
  function_call: [only('none'), '"none"'],
  response_format: [isTextFormat, '{"type": "text"}'],
  modalities: [isTextOnly, '["text"]'],
  store: [only(false), 'false'],
  service_tier: [only('auto', 'default'), '"auto" or "default"'],
  audio: [never],
  prediction: [never],
  web_search_options: [never],
  reasoning_effort: [never],
  verbosity: [never],
  moderation: [never],
  prompt_cache_options: [never],
}

export const UNSUPPORTED_PARAMETERS = Object.fromEntries(
  Object.entries(UNSUPPORTED).map(([name, [, words]]) => [
    name,
    readLater(words ? `Not supported: only ${words} is accepted.` : 'Not supported.'),
  ]),
)

export const INFORMATIONAL_PARAMETERS = {
  metadata: readLater('Accepted; it changes nothing.'),
  parallel_tool_calls: readLater('Accepted; it changes nothing.'),
  safety_identifier: nullableString('Accepted; it changes nothing.'),
  prompt_cache_key: nullableString('Accepted; it changes nothing.'),
  prompt_cache_retention: nullableString('Accepted; it changes nothing.'),
}

export function refuseUnsupported(body: Record<string, unknown>) {
  for (const name in UNSUPPORTED) {
    const value = body[name]
    if (value === undefined || value === null) continue
    const [isHarmless, words] = UNSUPPORTED[name] ?? [never]
    if (isHarmless(value)) continue
    const way = words ? `leave it out or send ${words}; got ${given(value)}.` : 'leave it out.'
    throw new GatewayError(
      'unsupported_parameter',
      `'${name}' can't be honoured by this server: ${way}`,
      { param: name },
    )
  }
}

function isTextFormat(value: unknown): boolean {
  return typeof value === 'object' && value !== null && 'type' in value && value.type === 'text'
}

function isTextOnly(value: unknown): boolean {
  return Array.isArray(value) && value.length === 1 && value[0] === 'text'
}
