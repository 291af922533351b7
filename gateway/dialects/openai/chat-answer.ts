// Answers of chat completions: frames and bodies.
//
// Of a frame only the text differs from delta to delta; the rest is put together once for a request (and once for each
// choice), so that a delta costs one JSON.stringify of its text and one concatenation.

import { errorFrame } from './error.ts'
import { usageBody } from './usage.ts'
import type { AnswerUsage } from '../../backends/backend.ts'
import type { AnswerFormat, AnswerIdentity, Choice } from '../dialect.ts'
import type { TokenLogprob } from '../../../runtime/protocol.ts'

export function chatAnswer(identity: AnswerIdentity): AnswerFormat {
  const { id, created, model, version, choices, includesUsage } = identity
  const head = { id: `chatcmpl-${id}`, object: 'chat.completion.chunk', created, model }
  const start = `data: ${JSON.stringify({ ...head, system_fingerprint: version }).slice(0, -1)},"choices":[`
  // OpenAI's clients expect `usage: null` on every chunk once they asked for usage, and no such field otherwise.
  const end = includesUsage ? '],"usage":null}\n\n' : ']}\n\n'
  const starts = Array.from({ length: choices }, (_, index) => `${start}{"index":${index},"delta":`)
  const contentStarts = starts.map((choiceStart) => `${choiceStart}{"content":`)
  const deltaEnd = `,"logprobs":null,"finish_reason":null}${end}`
  const contentEnd = `}${deltaEnd}`
  const frame = (choice: number, delta: object) => starts[choice] + JSON.stringify(delta) + deltaEnd
  const toolFrame = (choice: number, call: object) => frame(choice, { tool_calls: [call] })

  return {
    ping: null,
    opening: () =>
      starts
        .map((s) => `${s}{"role":"assistant","content":"","refusal":null${contentEnd}`)
        .join(''),
    delta(choice, text, logprobs) {
      const content = contentStarts[choice] + JSON.stringify(text)
      if (!logprobs) return content + contentEnd
      return `${content}},"logprobs":${JSON.stringify(logprobsBody(logprobs))},"finish_reason":null}${end}`
    },
    // Not in OpenAI's document; the field that servers of reasoning models have agreed on.
    reasoning: (choice, text) => (text === '' ? '' : frame(choice, { reasoning_content: text })),
    refusal: (choice, text) => frame(choice, { refusal: text }),
    toolCall: (choice, index, callId, name) =>
      toolFrame(choice, { index, id: callId, type: 'function', function: { name, arguments: '' } }),
    toolArguments: (choice, index, text) =>
      toolFrame(choice, { index, function: { arguments: text } }),
    finish: (choice, reason) =>
      `${starts[choice]}{},"logprobs":null,"finish_reason":"${reason}"}${end}`,
    ending: (usage) =>
      includesUsage
        ? `${start}],"usage":${JSON.stringify(usageBody(usage))}}\n\ndata: [DONE]\n\n`
        : 'data: [DONE]\n\n',
    failure: errorFrame,
    whole: (answers, usage) => wholeChat(identity, answers, usage),
  }
}

function wholeChat(identity: AnswerIdentity, answers: Choice[], usage: AnswerUsage): string {
  return JSON.stringify({
    id: `chatcmpl-${identity.id}`,
    object: 'chat.completion',
    created: identity.created,
    model: identity.model,
    system_fingerprint: identity.version,
    choices: answers.map((answer, index) => ({
      index,
      message: messageBody(answer),
      logprobs: answer.logprobs && logprobsBody(answer.logprobs),
      finish_reason: answer.finishReason,
    })),
    usage: usageBody(usage),
  })
}

function messageBody({ text, refusal, reasoning, toolCalls }: Choice) {
  return {
    role: 'assistant',
    content: text === '' && (toolCalls.length > 0 || refusal !== null) ? null : text,
    refusal,
    annotations: [],
    ...(reasoning.length > 0 && { reasoning_content: reasoning.map((r) => r.text).join('') }),
    ...(toolCalls.length > 0 && {
      tool_calls: toolCalls.map((call) => ({
        id: call.id,
        type: 'function',
        function: { name: call.name, arguments: call.arguments },
      })),
    }),
  }
}

function logprobsBody(logprobs: TokenLogprob[]) {
  return {
    content: logprobs.map(({ token, logprob, bytes, top }) => ({
      token,
      logprob,
      bytes,
      top_logprobs: top.map((other) => ({
        token: other.token,
        logprob: other.logprob,
        bytes: other.bytes,
      })),
    })),
    refusal: null,
  }
}
