// Items: what a conversation is made of in the Responses API, spelt out as it is kept and given back.
//
// Clients may write a message as a string and leave out types, ids and states; here everything is written. Field names
// are the wire's: an item goes from here to the client and to the table as it is.
//
// An item's id names the response that it belongs to and its place in it, so that a reference finds it without an index.

export type Item = InputMessage | OutputMessage | FunctionCall | FunctionCallOutput | Reasoning
export type OutputItem = OutputMessage | FunctionCall | Reasoning

export type ItemStatus = 'in_progress' | 'completed' | 'incomplete'

export interface InputMessage {
  id: string
  type: 'message'
  role: 'user' | 'system' | 'developer'
  status: ItemStatus
  content: InputPart[]
}

export type InputPart =
  | { type: 'input_text'; text: string }
  | { type: 'input_image'; detail: string; image_url?: string; file_id?: string }
  | {
      type: 'input_file'
      filename?: string
      file_data?: string
      file_id?: string
      file_url?: string
    }

export interface OutputMessage {
  id: string
  type: 'message'
  role: 'assistant'
  status: ItemStatus
  content: OutputPart[]
}

export type OutputPart = OutputText | Refusal

interface OutputText {
  type: 'output_text'
  text: string
  annotations: unknown[]
  logprobs: unknown[]
}

interface Refusal {
  type: 'refusal'
  refusal: string
}

export interface FunctionCall {
  id: string
  type: 'function_call'
  call_id: string
  name: string
  /** JSON text, as the model wrote it */
  arguments: string
  status: ItemStatus
}

export interface FunctionCallOutput {
  id: string
  type: 'function_call_output'
  call_id: string
  output: string | InputPart[]
  status: ItemStatus
}

export interface Reasoning {
  id: string
  type: 'reasoning'
  summary: { type: 'summary_text'; text: string }[]
  content?: { type: 'reasoning_text'; text: string }[]
  /** the target's proof that the thoughts are its own */
  encrypted_content?: string
  status: ItemStatus
}

const PREFIXES = {
  message: 'msg',
  function_call: 'fc',
  function_call_output: 'fco',
  reasoning: 'rs',
} satisfies Record<Item['type'], string>

/** Where an item is: in what the response was asked, or in what it answered. */
export interface ItemPlace {
  /** of the response, without its prefix: 32 hexadecimal digits */
  key: string
  isInput: boolean
  index: number
}

export function itemId(type: Item['type'], { key, isInput, index }: ItemPlace): string {
  return `${PREFIXES[type]}_${key}_${isInput ? 'in' : ''}${index}`
}

/** null for an id that isn't one of ours */
export function placeOf(id: string): ItemPlace | null {
  const [, key, input, index] = /^[a-z]{2,3}_([0-9a-f]{32})_(in)?(\d{1,5})$/.exec(id) ?? []
  if (key === undefined || index === undefined) return null
  return { key, isInput: input !== undefined, index: Number(index) }
}

/** @param exchangeId a UUID */
export const responseKey = (exchangeId: string) => exchangeId.replaceAll('-', '')

export const responseId = (key: string) => `resp_${key}`

/** null for an id that isn't one of ours */
export function keyOf(id: string): string | null {
  return /^resp_([0-9a-f]{32})$/.exec(id)?.[1] ?? null
}
