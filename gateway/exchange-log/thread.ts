// Which conversation an exchange belongs to, where its client sends the conversation anew with every request.
//
// A conversation is taken apart behind each of the assistant's messages, and each part is digested with the digest of
// what came before it: SHA-256, cut to 16 bytes. The last part ends with this exchange's answer. So the digest of one
// exchange is the previous digest of the one that goes on from it, each character is read once, and the digest of the
// first part, with its answer, names the conversation.
//
// Left out is what clients change between two turns: system prompts, which carry the time of day, white space at the
// ends, what models thought, and arguments of tool calls, whose ids tell them apart.
//
// Knows: shapes of messages of every dialect. Does not know: SQL, when it is asked.

import { hash } from 'node:crypto'

import type { ExchangeRecord } from '../exchange/exchange-record.ts'

export interface ThreadLinks {
  /** UUID, made of the first part's digest and of whose conversation it is */
  conversationId: string
  /** hex */
  digest: string
  /** hex; null: it is the first of its conversation */
  previousDigest: string | null
}

const DIGEST_CHARACTERS = 32
/** Of what is large, such as an image, its ends and its size. */
const MAX_CHARACTERS = 65_536

type Asked = Pick<ExchangeRecord, 'prompt' | 'answer' | 'toolCalls' | 'callerId' | 'projectId'>

/** @returns null where there is no conversation: a text, an embedding, no answer */
export function threadLinksOf({
  prompt,
  answer,
  toolCalls,
  callerId,
  projectId,
}: Asked): ThreadLinks | null {
  const [text = ''] = answer ?? []
  const [calls = []] = toolCalls ?? []
  if (!Array.isArray(prompt) || !isMessage(prompt[0])) return null
  if (text === '' && calls.length === 0) return null
  let state = ''
  let first: string | null = null
  let part = ''
  for (const message of prompt as unknown[]) {
    if (!isMessage(message)) continue
    const role = roleOf(message)
    if (role === 'system' || role === 'developer') continue
    part += framed(role, contentOf(message))
    if (role !== 'assistant') continue
    state = digestOf(state, part)
    first ??= state
    part = ''
  }
  const previousDigest = state === '' ? null : state
  const own = framed('assistant', text.trim() + calls.map(({ id }) => `\u0001${id}`).join(''))
  const digest = digestOf(state, part + own)
  const owner = digestOf(`${callerId}/${projectId}`, first ?? digest)
  return { conversationId: uuidOf(owner), digest, previousDigest }
}

function digestOf(state: string, part: string): string {
  return hash('sha256', state + part).slice(0, DIGEST_CHARACTERS)
}

/** With its length, so that no text can be taken for two. */
function framed(role: string, content: string): string {
  return `${role}:${content.length}:${content}`
}

type Message = Record<string, unknown>

function isMessage(value: unknown): value is Message {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

/** Items of Responses that are no messages have a type instead. */
function roleOf({ role, type }: Message): string {
  if (typeof role === 'string') return role
  return type === 'function_call' ? 'assistant' : String(type)
}

function contentOf({
  content,
  tool_calls: calls,
  tool_call_id: answered,
  call_id: called,
}: Message): string {
  let text = textOf(content)
  if (Array.isArray(calls)) {
    for (const call of calls as unknown[])
      if (isMessage(call)) text += `\u0001${String(call['id'])}`
  }
  if (typeof answered === 'string') text += `\u0002${answered}`
  if (typeof called === 'string') text += `\u0001${called}`
  return text
}

function textOf(content: unknown): string {
  if (typeof content === 'string') return short(content.trim())
  if (!Array.isArray(content)) return ''
  let text = ''
  let marks = ''
  for (const part of content as unknown[]) {
    if (!isMessage(part)) continue
    const { type, text: words, id, tool_use_id: answered } = part
    if (typeof words === 'string') text += words
    else if (type === 'tool_use') marks += `\u0001${String(id)}`
    else if (type === 'tool_result') marks += `\u0002${String(answered)}`
    else if (type !== 'thinking' && type !== 'redacted_thinking')
      marks += short(JSON.stringify(part))
  }
  return short(text.trim()) + marks
}

function short(text: string): string {
  if (text.length <= MAX_CHARACTERS) return text
  return `${text.slice(0, 1024)}\u0003${text.length}\u0003${text.slice(-1024)}`
}

/** RFC 9562, 5.8: of our own making. */
function uuidOf(digest: string): string {
  return (
    `${digest.slice(0, 8)}-${digest.slice(8, 12)}-8${digest.slice(13, 16)}-` +
    `a${digest.slice(17, 20)}-${digest.slice(20, 32)}`
  )
}
