// Answers of completions: frames and bodies, which have the same shape in this API.

import { errorFrame } from './error.ts'
import { usageBody } from './usage.ts'
import type { AnswerFormat, AnswerIdentity } from '../dialect.ts'
import type { TokenLogprob } from '../../../runtime/protocol.ts'

export function completionAnswer(identity: AnswerIdentity): AnswerFormat {
  const { id, created, model, version, choices, includesUsage } = identity
  const head = {
    id: `cmpl-${id}`,
    object: 'text_completion',
    created,
    model,
    system_fingerprint: version,
  }
  const start = `data: ${JSON.stringify(head).slice(0, -1)},"choices":[`
  const end = includesUsage ? '],"usage":null}\n\n' : ']}\n\n'
  const starts = Array.from({ length: choices }, (_, index) => `${start}{"index":${index},"text":`)
  const textEnd = `,"logprobs":null,"finish_reason":null}${end}`
  /** how long each choice's text has become, for the offsets of its tokens */
  const offsets = Array.from({ length: choices }, () => 0)

  return {
    ping: null,
    opening: () => '',
    delta(choice, text, logprobs) {
      const offset = offsets[choice] ?? 0
      offsets[choice] = offset + text.length
      if (!logprobs) return starts[choice] + JSON.stringify(text) + textEnd
      const body = logprobsBody(logprobs, offset)
      return `${starts[choice]}${JSON.stringify(text)},"logprobs":${JSON.stringify(body)},"finish_reason":null}${end}`
    },
    // A text that is continued neither thinks, refuses nor calls; what a target says of that has no place in this API.
    reasoning: () => '',
    refusal: () => '',
    toolCall: () => '',
    toolArguments: () => '',
    finish: (choice, reason) =>
      `${starts[choice]}"","logprobs":null,"finish_reason":"${reason}"}${end}`,
    ending: (usage) =>
      includesUsage
        ? `${start}],"usage":${JSON.stringify(usageBody(usage))}}\n\ndata: [DONE]\n\n`
        : 'data: [DONE]\n\n',
    failure: errorFrame,
    whole: (answers, usage) =>
      JSON.stringify({
        ...head,
        choices: answers.map(({ text, finishReason, logprobs }, index) => ({
          index,
          text,
          logprobs: logprobs && logprobsBody(logprobs, 0),
          finish_reason: finishReason,
        })),
        usage: usageBody(usage),
      }),
  }
}

/** @param offset characters of the answer before the first of these tokens */
function logprobsBody(logprobs: TokenLogprob[], offset: number) {
  const textOffset: number[] = []
  for (const { token } of logprobs) {
    textOffset.push(offset)
    offset += token.length
  }
  return {
    tokens: logprobs.map(({ token }) => token),
    token_logprobs: logprobs.map(({ logprob }) => logprob),
    top_logprobs: logprobs.map(({ top }) =>
      Object.fromEntries(top.map(({ token, logprob }) => [token, logprob])),
    ),
    text_offset: textOffset,
  }
}
