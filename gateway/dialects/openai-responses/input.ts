// What a client sends as `input`: read item by item, and spelt out.
//
// Knows: how items may be written. Does not know: what they mean to a model, where the items that are only referred to
// are kept.

import { given } from '../openai/violation.ts'
import {
  array,
  invalid,
  isAbsent,
  missing,
  object,
  oneOf,
  optionalString,
  string,
  unsupported,
} from './fields.ts'
import { readInputPart, readOutputPart } from './input-part.ts'
import { itemId } from './item.ts'
import type { Fields } from './fields.ts'
import type {
  FunctionCall,
  FunctionCallOutput,
  InputMessage,
  InputPart,
  Item,
  OutputMessage,
  Reasoning,
} from './item.ts'

/** An item that the client only names. */
export interface ItemReference {
  type: 'item_reference'
  id: string
  /** where it was named, for errors */
  path: string
}

/** a conversation of more items than this is a mistake or an attack */
const MAX_ITEMS = 4096
const MAX_PARTS = 1024
const MAX_ID_CHARACTERS = 128
const STATUSES = ['in_progress', 'completed', 'incomplete'] as const

/** @param key of the response that is asked for, which items without an id belong to */
export function readInput(input: unknown, key: string): (Item | ItemReference)[] {
  const place = (index: number) => ({ key, isInput: true, index })
  if (typeof input === 'string') {
    const content: InputPart[] = [{ type: 'input_text', text: input }]
    const id = itemId('message', place(0))
    return [{ id, type: 'message', role: 'user', status: 'completed', content }]
  }
  if (!Array.isArray(input)) throw invalid('input', 'a string or an array of items', input)
  return array(input, 'input', MAX_ITEMS).map((value, index) => {
    const path = `input[${index}]`
    const fields = object(value, path)
    const idFor = (type: Item['type']) => givenId(fields, path) ?? itemId(type, place(index))
    return readItem(fields, path, idFor)
  })
}

type IdFor = (type: Item['type']) => string

function readItem(fields: Fields, path: string, idFor: IdFor): Item | ItemReference {
  const { type } = fields
  // A message needs no type, and neither does a reference, which is nothing but an id.
  if (type === 'message' || (isAbsent(type) && 'role' in fields)) {
    return readMessage(fields, path, idFor('message'))
  }
  if (type === 'item_reference' || (isAbsent(type) && 'id' in fields)) {
    return { type: 'item_reference', id: string(fields, 'id', path), path }
  }
  switch (type) {
    case 'function_call':
      return readCall(fields, path, idFor(type))
    case 'function_call_output':
      return readCallOutput(fields, path, idFor(type))
    case 'reasoning':
      return readReasoning(fields, path, idFor(type))
    case undefined:
      throw missing(`${path}.type`, 'the kind of item')
    default:
      throw unsupported(
        `${path}.type`,
        `An item of type ${given(type)} ('${path}')`,
        'there are "message", "function_call", "function_call_output", "reasoning" and "item_reference"',
      )
  }
}

function readMessage(fields: Fields, path: string, id: string): InputMessage | OutputMessage {
  const role = oneOf(fields['role'], `${path}.role`, ['user', 'assistant', 'system', 'developer'])
  const status = readStatus(fields, path)
  const content = readContent(fields['content'], `${path}.content`)
  if (role === 'assistant') {
    const parts =
      typeof content === 'string'
        ? [{ type: 'output_text' as const, text: content, annotations: [], logprobs: [] }]
        : content.map((part, index) => readOutputPart(part, `${path}.content[${index}]`))
    return { id, type: 'message', role, status, content: parts }
  }
  return { id, type: 'message', role, status, content: inputParts(content, `${path}.content`) }
}

function readCall(fields: Fields, path: string, id: string): FunctionCall {
  return {
    id,
    type: 'function_call',
    call_id: string(fields, 'call_id', path),
    name: string(fields, 'name', path),
    arguments: string(fields, 'arguments', path),
    status: readStatus(fields, path),
  }
}

function readCallOutput(fields: Fields, path: string, id: string): FunctionCallOutput {
  const output = readContent(fields['output'], `${path}.output`)
  return {
    id,
    type: 'function_call_output',
    call_id: string(fields, 'call_id', path),
    output: typeof output === 'string' ? output : inputParts(output, `${path}.output`),
    status: readStatus(fields, path),
  }
}

function readReasoning(fields: Fields, path: string, id: string): Reasoning {
  const texts = (field: 'summary' | 'content') =>
    isAbsent(fields[field])
      ? []
      : array(fields[field], `${path}.${field}`, MAX_PARTS).map((part, index) => {
          const at = `${path}.${field}[${index}]`
          return string(object(part, at), 'text', at)
        })
  const content = texts('content')
  const encrypted = optionalString(fields, 'encrypted_content', path)
  return {
    id,
    type: 'reasoning',
    summary: texts('summary').map((text) => ({ type: 'summary_text', text })),
    ...(content.length > 0 && {
      content: content.map((text) => ({ type: 'reasoning_text', text })),
    }),
    ...(encrypted !== null && { encrypted_content: encrypted }),
    status: readStatus(fields, path),
  }
}

function readContent(content: unknown, path: string): string | unknown[] {
  if (typeof content === 'string') return content
  if (isAbsent(content)) throw missing(path, 'a string or an array of parts')
  if (!Array.isArray(content)) throw invalid(path, 'a string or an array of parts', content)
  return array(content, path, MAX_PARTS)
}

function inputParts(content: string | unknown[], path: string): InputPart[] {
  if (typeof content === 'string') return [{ type: 'input_text', text: content }]
  return content.map((part, index) => readInputPart(part, `${path}[${index}]`))
}

function readStatus(fields: Fields, path: string) {
  const { status } = fields
  return isAbsent(status) ? 'completed' : oneOf(status, `${path}.status`, STATUSES)
}

function givenId(fields: Fields, path: string): string | null {
  const id = optionalString(fields, 'id', path)
  if (id === null || (id !== '' && id.length <= MAX_ID_CHARACTERS)) return id
  throw invalid(`${path}.id`, `a string of 1 to ${MAX_ID_CHARACTERS} characters`, id)
}
