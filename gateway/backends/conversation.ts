// A conversation in our own terms: what every dialect is read into and every upstream's wire format is written from.
//
// It can say whatever OpenAI's chat completions and responses, Anthropic's messages and Gemini's contents have in
// common or in particular that changes an answer. What a target can't take, its backend refuses by name.
//
// Knows: nothing but the words. Does not know: wire formats, who answers.

export type Part =
  | { type: 'text'; text: string; cacheMark?: CacheMark }
  /** `detail` is OpenAI's; others ignore it, as it changes the price and not the question */
  | { type: 'image'; source: Source; detail?: string; cacheMark?: CacheMark }
  | { type: 'audio'; data: string; format: string }
  | { type: 'file'; source: Source; name?: string; cacheMark?: CacheMark }

/** Anthropic's `cache_control`: what comes before may be cached. Others ignore it: it changes the price and not the answer. */
export type CacheMark = Record<string, unknown>

export type Source =
  | { kind: 'url'; url: string }
  /** base64 without a prefix */
  | { kind: 'base64'; mediaType: string; data: string }
  /** a file that was uploaded to the upstream before */
  | { kind: 'id'; id: string }

export interface ToolCall {
  id: string
  name: string
  /** JSON text, as the model wrote it: it may be invalid */
  arguments: string
  cacheMark?: CacheMark
}

export type Message =
  | { role: 'system' | 'developer'; content: Part[]; name?: string }
  | { role: 'user'; content: Part[]; name?: string }
  | {
      role: 'assistant'
      content: Part[]
      name?: string
      toolCalls: ToolCall[]
      /** a refusal in the model's own words */
      refusal?: string
      /** what the model thought, where the upstream wants it back, with its proof of origin */
      reasoning?: { text: string; signature?: string }[]
    }
  | {
      role: 'tool'
      toolCallId: string
      content: Part[]
      isError?: boolean
      cacheMark?: CacheMark
    }

export interface Tool {
  name: string
  description?: string
  /** JSON Schema of the arguments */
  parameters: Record<string, unknown>
  strict?: boolean
  cacheMark?: CacheMark
}

/** `required`: any tool, but one */
export type ToolChoice = 'auto' | 'none' | 'required' | { name: string }

export type ResponseFormat =
  | { type: 'text' }
  | { type: 'json_object' }
  | {
      type: 'json_schema'
      name: string
      description?: string
      schema: Record<string, unknown>
      strict?: boolean
    }
