// What is asked and what is answered: about a kilobyte each way, and a stream of fifty chunks.

export const MODEL = 'bench'
const CHUNKS = 50
export const DONE = 'data: [DONE]\n\n'

const ANSWER_CHARACTERS = 760
const PROMPT_CHARACTERS = 880
const CREATED = 1_760_000_000
const USAGE = { prompt_tokens: 220, completion_tokens: CHUNKS, total_tokens: 220 + CHUNKS }
const SENTENCE = 'The quick brown fox jumps over the lazy dog. '

const textOf = (characters: number) =>
  SENTENCE.repeat(characters / SENTENCE.length + 1).slice(0, characters)

export function requestBody(isStreamed: boolean): string {
  const messages = [
    { role: 'system', content: 'You are a helpful assistant.' },
    { role: 'user', content: textOf(PROMPT_CHARACTERS) },
  ]
  const stream = isStreamed && { stream: true, stream_options: { include_usage: true } }
  return JSON.stringify({ model: MODEL, messages, max_tokens: 256, temperature: 0.2, ...stream })
}

export const WHOLE_ANSWER = JSON.stringify({
  id: 'chatcmpl-bench',
  object: 'chat.completion',
  created: CREATED,
  model: MODEL,
  choices: [
    {
      index: 0,
      message: { role: 'assistant', content: textOf(ANSWER_CHARACTERS), refusal: null },
      logprobs: null,
      finish_reason: 'stop',
    },
  ],
  usage: USAGE,
})

/** Frames as they are written, one at a time: forty-eight of text among a first, a last, the usage and the end. */
export const FRAMES: readonly string[] = [
  frame({ delta: { role: 'assistant', content: '' } }),
  ...Array.from({ length: CHUNKS - 2 }, (_, at) => frame({ delta: { content: ` word${at}` } })),
  frame({ delta: {}, finish_reason: 'stop' }),
  `data: ${JSON.stringify({ ...chunk(), choices: [], usage: USAGE })}\n\n`,
  DONE,
]

function frame(choice: object): string {
  const choices = [{ index: 0, logprobs: null, finish_reason: null, ...choice }]
  return `data: ${JSON.stringify({ ...chunk(), choices })}\n\n`
}

function chunk() {
  return { id: 'chatcmpl-bench', object: 'chat.completion.chunk', created: CREATED, model: MODEL }
}
