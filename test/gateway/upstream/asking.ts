// Questions put to a backend over a scripted upstream, and their answers collected.

import assert from 'node:assert/strict'
import { inspect } from 'node:util'
import type { TestContext } from 'node:test'

import { GatewayError } from '../../../gateway/errors.ts'
import { chatOf } from './openai-questions.ts'
import { ScriptedUpstream } from '../../support/scripted-upstream.ts'
import type { AnswerEvent, Backend, Question } from '../../../gateway/backends/backend.ts'

interface Closable extends Backend {
  close(): Promise<void>
}

/** @param make the backend of an upstream at this address */
export async function startAsking<B extends Closable>(
  t: TestContext,
  model: string,
  make: (url: string) => B,
) {
  const upstream = await ScriptedUpstream.start(t)
  const backend = make(upstream.url)
  t.after(() => backend.close())
  const signal = () => new AbortController().signal

  /** everything up to the end, or to what it ended with */
  async function ask(question: Question = chatOf(), abort = signal()) {
    const events: AnswerEvent[] = []
    try {
      for await (const event of backend.answer(question, { version: model, signal: abort })) {
        events.push(event)
      }
      return { events, error: null }
    } catch (error) {
      return { events, error }
    }
  }

  /** all events of an answer that is expected to be whole */
  async function answer(question?: Question): Promise<AnswerEvent[]> {
    const { events, error } = await ask(question)
    assert.equal(error, null, inspect(error))
    return events
  }

  /** what an answer that is expected to fail ends with */
  async function failure(question?: Question): Promise<GatewayError> {
    const { events, error } = await ask(question)
    assert(error instanceof GatewayError, inspect(error ?? events))
    assert(!events.some(({ type }) => type === 'done'), 'an answer that failed has no figures')
    return error
  }

  return {
    upstream,
    backend,
    ask,
    answer,
    failure,
    asking: () => ({ version: model, signal: signal() }),
  }
}
