// Tools, the choice among them, and the format of the answer, as chat completions write them.

import { GatewayError } from '../../errors.ts'
import { given } from './violation.ts'
import type { ResponseFormat, Tool, ToolChoice } from '../../backends/conversation.ts'

/** OpenAI's own bound */
const MAX_TOOLS = 128
const NAME = /^[\w.-]{1,128}$/

type Fields = Record<string, unknown>

export function readTools(tools: unknown): Tool[] {
  if (tools === undefined || tools === null) return []
  if (!Array.isArray(tools) || tools.length > MAX_TOOLS) {
    throw invalid('tools', `an array of at most ${MAX_TOOLS} tools`, tools)
  }
  return tools.map((tool: unknown, index) => readTool(tool, `tools[${index}]`))
}

function readTool(tool: unknown, path: string): Tool {
  const { type, function: described } = fields(tool, path)
  if (type !== 'function') {
    throw new GatewayError(
      'unsupported_parameter',
      `A tool of type ${given(type)} ('${path}') can't be honoured: there are tools of type "function" only.`,
      { param: `${path}.type` },
    )
  }
  const { name, description, parameters, strict } = fields(described, `${path}.function`)
  return {
    name: readName(name, `${path}.function.name`),
    parameters:
      parameters === undefined || parameters === null
        ? { type: 'object', properties: {} }
        : fields(parameters, `${path}.function.parameters`),
    ...(typeof description === 'string' && { description }),
    ...(typeof strict === 'boolean' && { strict }),
  }
}

export function readToolChoice(choice: unknown): ToolChoice | undefined {
  if (choice === undefined || choice === null) return undefined
  if (choice === 'auto' || choice === 'none' || choice === 'required') return choice
  if (typeof choice !== 'object') {
    throw invalid('tool_choice', '"auto", "none", "required" or a function', choice)
  }
  const { name } = fields((choice as Fields)['function'], 'tool_choice.function')
  return { name: readName(name, 'tool_choice.function.name') }
}

export function readResponseFormat(format: unknown): ResponseFormat | undefined {
  if (format === undefined || format === null) return undefined
  const { type, json_schema: described } = fields(format, 'response_format')
  if (type === 'text' || type === 'json_object') return { type }
  if (type !== 'json_schema') {
    throw invalid('response_format.type', '"text", "json_object" or "json_schema"', type)
  }
  const path = 'response_format.json_schema'
  const { name, description, schema, strict } = fields(described, path)
  return {
    type,
    name: readName(name, `${path}.name`),
    schema: fields(schema, `${path}.schema`),
    ...(typeof description === 'string' && { description }),
    ...(typeof strict === 'boolean' && { strict }),
  }
}

function readName(name: unknown, path: string): string {
  if (typeof name === 'string' && NAME.test(name)) return name
  throw invalid(path, 'a name of 1 to 128 letters, digits, "_", "-" or "."', name)
}

function fields(value: unknown, path: string): Fields {
  if (typeof value === 'object' && value !== null && !Array.isArray(value)) return value as Fields
  throw invalid(path, 'an object', value)
}

function invalid(param: string, allowed: string, value: unknown) {
  return new GatewayError('invalid_type', `'${param}' must be ${allowed}; got ${given(value)}.`, {
    param,
  })
}
