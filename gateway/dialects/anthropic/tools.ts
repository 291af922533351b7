// Tools and the choice among them, as Anthropic's clients write them.
//
// Tools with a type of their own are run by the upstream, or have arguments that only it knows; see content.ts for why
// they are refused.

import { Type } from 'typebox'

import { GatewayError } from '../../errors.ts'
import { marked } from './content.ts'
import { given } from '../openai/violation.ts'
import type { Static } from 'typebox'
import type { Chat } from '../../backends/backend.ts'
import type { Tool } from '../../backends/conversation.ts'

export const WireTool = Type.Object(
  {
    type: Type.Optional(Type.Unsafe<string | null>({ type: ['string', 'null'] })),
    name: Type.Optional(Type.String({ minLength: 1, maxLength: 128 })),
    description: Type.Optional(Type.String()),
    input_schema: Type.Optional(Type.Unsafe<Record<string, unknown>>({ type: 'object' })),
    strict: Type.Optional(Type.Boolean()),
    cache_control: Type.Optional(Type.Unknown()),
  },
  { additionalProperties: true },
)

export function readTools(tools: Static<typeof WireTool>[] = []): Tool[] {
  return tools.map((tool, index) => {
    const path = `tools[${index}]`
    const { type, name, description, input_schema: parameters, strict } = tool
    if (type !== undefined && type !== null && type !== 'custom') {
      throw new GatewayError(
        'unsupported_parameter',
        `A tool of type ${given(type)} ('${path}') can't be honoured: there are tools of type "custom" only, which the client runs.`,
        { param: `${path}.type` },
      )
    }
    if (name === undefined || parameters === undefined) {
      const param = `${path}.${name === undefined ? 'name' : 'input_schema'}`
      throw new GatewayError(
        'missing_required_parameter',
        `Missing required parameter: '${param}'.`,
        { param },
      )
    }
    return {
      name,
      parameters,
      ...(description !== undefined && { description }),
      ...(strict !== undefined && { strict }),
      ...marked(tool),
    }
  })
}

interface WireToolChoice {
  type: string
  name?: unknown
  disable_parallel_tool_use?: unknown
}

export function readToolChoice(
  choice: WireToolChoice | undefined,
): Pick<Chat, 'toolChoice' | 'parallelToolCalls'> {
  if (!choice) return {}
  const isAlone = choice.disable_parallel_tool_use === true && { parallelToolCalls: false }
  switch (choice.type) {
    case 'any':
      return { toolChoice: 'required', ...isAlone }
    case 'none':
      return { toolChoice: 'none' }
    case 'tool':
      if (typeof choice.name === 'string') return { toolChoice: { name: choice.name }, ...isAlone }
      throw new GatewayError(
        'invalid_type',
        `'tool_choice.name' must be a string; got ${given(choice.name)}.`,
        { param: 'tool_choice.name' },
      )
    default:
      return { toolChoice: 'auto', ...isAlone }
  }
}
