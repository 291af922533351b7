// Tools, the choice among them, and the format of the text, as the Responses API writes them.
//
// Hosted tools (web search, files, code …) run at OpenAI, beside its models. No target here has them, so that they are
// refused by their names.

import { GatewayError } from '../../errors.ts'
import { given } from '../openai/violation.ts'
import { array, invalid, isAbsent, object, oneOf, optionalString, unsupported } from './fields.ts'
import type { Fields } from './fields.ts'
import type { ResponseFormat, Tool, ToolChoice } from '../../backends/conversation.ts'

/** OpenAI's own bound */
const MAX_TOOLS = 128
const NAME = /^[\w.-]{1,128}$/

/** As it is given back in the response. */
export interface WireTool {
  type: 'function'
  name: string
  description: string | null
  parameters: Record<string, unknown> | null
  strict: boolean | null
}

export function readTools(tools: unknown): WireTool[] {
  if (isAbsent(tools)) return []
  return array(tools, 'tools', MAX_TOOLS).map((value, index) => {
    const path = `tools[${index}]`
    const fields = object(value, path)
    const { type, parameters, strict } = fields
    if (type !== 'function') {
      throw unsupported(
        `${path}.type`,
        `A tool of type ${given(type)} ('${path}')`,
        'there are tools of type "function" only',
      )
    }
    if (!isAbsent(strict) && typeof strict !== 'boolean') {
      throw invalid(`${path}.strict`, 'true or false', strict)
    }
    return {
      type,
      name: readName(fields['name'], `${path}.name`),
      description: optionalString(fields, 'description', path),
      parameters: isAbsent(parameters) ? null : object(parameters, `${path}.parameters`),
      strict: strict ?? null,
    }
  })
}

export interface Choosing {
  tools: Tool[]
  toolChoice: ToolChoice | undefined
}

/** What the model may choose from. Where there are no tools, "auto" and "none" say nothing. */
export function readChoosing(choice: unknown, wireTools: WireTool[]): Choosing {
  const tools = wireTools.map(toolOf)
  if (isAbsent(choice)) return { tools, toolChoice: undefined }
  if (typeof choice === 'string') {
    const toolChoice = oneOf(choice, 'tool_choice', ['auto', 'none', 'required'])
    const isVoid = tools.length === 0 && toolChoice !== 'required'
    return { tools, toolChoice: isVoid ? undefined : toolChoice }
  }
  const fields = object(choice, 'tool_choice')
  switch (fields['type']) {
    case 'function': {
      const name = readName(fields['name'], 'tool_choice.name')
      return { tools, toolChoice: { name: oneTool(name, tools, 'tool_choice.name').name } }
    }
    case 'allowed_tools':
      return readAllowed(fields, tools)
    default:
      throw unsupported(
        'tool_choice.type',
        `A choice of type ${given(fields['type'])} ('tool_choice')`,
        'there are "function" and "allowed_tools"',
      )
  }
}

/** The others are kept from the model altogether: to it they would be tools that it may not use. */
function readAllowed(fields: Fields, tools: Tool[]): Choosing {
  const toolChoice = oneOf(fields['mode'], 'tool_choice.mode', ['auto', 'required'])
  const path = 'tool_choice.tools'
  const allowed = array(fields['tools'], path, MAX_TOOLS).map((value, index) => {
    const at = `${path}[${index}]`
    return oneTool(readName(object(value, at)['name'], `${at}.name`), tools, `${at}.name`)
  })
  return { tools: allowed, toolChoice }
}

function oneTool(name: string, tools: Tool[], param: string): Tool {
  const tool = tools.find((known) => known.name === name)
  if (tool) return tool
  throw new GatewayError(
    'invalid_value',
    `'${param}' must be the name of one of the tools; got ${given(name)}.`,
    { param },
  )
}

function toolOf({ name, description, parameters, strict }: WireTool): Tool {
  return {
    name,
    parameters: parameters ?? { type: 'object', properties: {} },
    ...(description !== null && { description }),
    ...(strict !== null && { strict }),
  }
}

export function readTextFormat(format: unknown): ResponseFormat {
  if (isAbsent(format)) return { type: 'text' }
  const path = 'text.format'
  const fields = object(format, path)
  const type = oneOf(fields['type'], `${path}.type`, ['text', 'json_object', 'json_schema'])
  if (type !== 'json_schema') return { type }
  const description = optionalString(fields, 'description', path)
  const { strict } = fields
  return {
    type,
    name: readName(fields['name'], `${path}.name`),
    schema: object(fields['schema'], `${path}.schema`),
    ...(description !== null && { description }),
    ...(typeof strict === 'boolean' && { strict }),
  }
}

function readName(name: unknown, path: string): string {
  if (typeof name === 'string' && NAME.test(name)) return name
  throw invalid(path, 'a name of 1 to 128 letters, digits, "_", "-" or "."', name)
}
