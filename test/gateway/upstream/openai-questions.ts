// Questions for upstreams, and their answers collected.

import type { TestContext } from 'node:test'

import { OpenAIUpstream } from '../../../gateway/backends/upstream/openai.ts'
import { ScriptedUpstream } from '../../support/scripted-upstream.ts'
import type { AnswerEvent, Chat, Completion, Question } from '../../../gateway/backends/backend.ts'
import type { OpenAIUpstreamOptions } from '../../../gateway/backends/upstream/openai.ts'

export const KEY = 'planted-secret-0123456789'

export function chatOf(more: Partial<Chat> = {}): Chat {
  return {
    kind: 'chat',
    id: '01890000-0000-7000-8000-000000000001',
    promptParam: 'messages',
    isStreamed: true,
    choices: 1,
    sampling: {},
    stop: [],
    extra: {},
    dialect: 'openai',
    messages: [{ role: 'user', content: [{ type: 'text', text: 'Hi' }] }],
    tools: [],
    ...more,
  }
}

export function completionOf(more: Partial<Completion> = {}): Completion {
  const { messages: _, tools: __, ...shared } = chatOf()
  return {
    ...shared,
    kind: 'completion',
    promptParam: 'prompt',
    prompts: [{ kind: 'text', text: 'Once' }],
    echo: false,
    ...more,
  }
}

export async function startUpstream(t: TestContext, options: Partial<OpenAIUpstreamOptions> = {}) {
  const upstream = await ScriptedUpstream.start(t)
  const baseUrl = options.azure ? upstream.url : `${upstream.url}/v1`
  const backend = new OpenAIUpstream({ baseUrl, apiKey: KEY, ...options })
  t.after(() => backend.close())
  const ask = (question: Question = chatOf(), signal = new AbortController().signal) =>
    backend.answer(question, { version: 'gpt', signal })
  /** everything up to the end, or to what it ended with */
  const collect = async (question?: Question, signal?: AbortSignal) => {
    const events: AnswerEvent[] = []
    try {
      for await (const event of ask(question, signal)) events.push(event)
      return { events, error: null }
    } catch (error) {
      return { events, error }
    }
  }
  return { upstream, backend, ask, collect }
}

export function textOf(events: AnswerEvent[], choice = 0): string {
  return events
    .map((event) => (event.type === 'delta' && event.choice === choice ? event.text : ''))
    .join('')
}

/** The tool calls of a choice, with their arguments put together. */
export function callsOf(events: AnswerEvent[], choice = 0) {
  const calls: { id: string; name: string; arguments: string }[] = []
  for (const event of events) {
    if (event.type === 'toolCall' && event.choice === choice) {
      calls[event.index] = { id: event.id, name: event.name, arguments: '' }
    } else if (event.type === 'toolArguments' && event.choice === choice) {
      calls[event.index]!.arguments += event.text
    }
  }
  return calls
}
