// A choice of a whole answer, put together from its events.

import type { Choice } from './dialect.ts'
import type { AnswerEvent } from '../backends/backend.ts'

type ReasoningEvent = Extract<AnswerEvent, { type: 'reasoning' }>

export function emptyChoice(): Choice {
  return {
    text: '',
    finishReason: 'stop',
    logprobs: null,
    reasoning: [],
    stopSequence: null,
    refusal: null,
    toolCalls: [],
  }
}

export function addToChoice(
  event: Exclude<AnswerEvent, { type: 'started' | 'done' }>,
  choice: Choice,
) {
  switch (event.type) {
    case 'delta':
      choice.text += event.text
      if (event.logprobs) (choice.logprobs ??= []).push(...event.logprobs)
      break
    case 'reasoning':
      think(choice.reasoning, event)
      break
    case 'refusal':
      choice.refusal = (choice.refusal ?? '') + event.text
      break
    case 'toolCall':
      choice.toolCalls[event.index] = { id: event.id, name: event.name, arguments: '' }
      break
    case 'toolArguments': {
      const call = choice.toolCalls[event.index]
      if (!call)
        throw new Error(`Arguments for call ${event.index}, which never began. This is a bug.`)
      call.arguments += event.text
      break
    }
    case 'finished':
      choice.finishReason = event.finishReason
      choice.stopSequence = event.stopSequence ?? null
  }
}

/** A signature ends a thought: what comes after it is the next one. */
function think(thoughts: Choice['reasoning'], { text, signature }: ReasoningEvent) {
  const last = thoughts.at(-1)
  if (!last || last.signature !== undefined) {
    thoughts.push({ text, ...(signature !== undefined && { signature }) })
    return
  }
  last.text += text
  if (signature !== undefined) last.signature = signature
}
