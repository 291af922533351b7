// The mixed traffic of the soak: what is asked, how often, and what may come of it.
//
// Knows: the dialects' shortest questions. Does not know: who asks them.

import type { Ask, Seen } from './load.ts'

export interface Kind {
  name: string
  /** how often, beside the others */
  weight: number
  ask(key: string): Ask
  isExpected(seen: Seen): boolean
}

const QUESTION = 'What do you promise?'
const MESSAGES = [{ role: 'user', content: QUESTION }]

const whole = ({ isWhole }: Seen) => isWhole
const refusedWith = (status: number) => (seen: Seen) => seen.status === status
/** a status, or an error in place of the ending */
const failed = ({ isEnded, isWhole, status }: Seen) =>
  isEnded && !isWhole && (status === 200 || [502, 503].includes(status ?? 0))
const left = ({ isEnded }: Seen) => !isEnded

function kind(
  name: string,
  weight: number,
  path: string,
  body: Record<string, unknown>,
  isExpected: Kind['isExpected'],
  more: Partial<Ask> = {},
): Kind {
  return { name, weight, isExpected, ask: (key) => ({ name, path, key, body, ...more }) }
}

const CHAT = '/v1/chat/completions'
const chat = (model: string, stream: boolean) => ({ model, messages: MESSAGES, stream })
const message = (stream: boolean) => ({
  model: 'claude',
  messages: MESSAGES,
  max_tokens: 50,
  stream,
})
const response = (stream: boolean) => ({ model: 'steady', input: QUESTION, stream })

export const MIX: Kind[] = [
  kind('chat', 20, CHAT, chat('steady', false), whole),
  kind('chat, streamed', 20, CHAT, chat('steady', true), whole),
  kind('chat of another dialect', 5, CHAT, chat('claude', true), whole),
  kind('completion', 5, '/v1/completions', { model: 'steady', prompt: QUESTION }, whole),
  kind('embedding', 10, '/v1/embeddings', { model: 'embedding', input: QUESTION }, whole),
  kind('message', 5, '/v1/messages', message(false), whole),
  kind('message, streamed', 5, '/v1/messages', message(true), whole),
  kind('response', 5, '/v1/responses', response(false), whole),
  kind('response, streamed', 5, '/v1/responses', response(true), whole),
  kind('upstream fails', 3, CHAT, chat('failing', false), failed),
  kind('upstream cuts', 3, CHAT, chat('cut', true), failed),
  kind('client leaves before the answer', 3, CHAT, chat('slow', false), left, { hangUpMs: 300 }),
  kind('client leaves within the answer', 3, CHAT, chat('slow', true), left, { hangUpMs: 600 }),
  kind('unknown model', 2, CHAT, chat('unheard-of', false), refusedWith(404)),
  kind('no question', 2, CHAT, { model: 'steady' }, refusedWith(400)),
  // Of strangers at most a hundred a minute have rows: so few that all of them have.
  kind('unknown key', 0.3, CHAT, chat('steady', false), refusedWith(401), { key: 'hr_unknown' }),
]
