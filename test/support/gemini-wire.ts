// Answers and chunks as Google's own servers write them, for scripted upstreams.

import type { Script } from './scripted-upstream.ts'

export const USAGE = {
  promptTokenCount: 12,
  candidatesTokenCount: 4,
  thoughtsTokenCount: 3,
  cachedContentTokenCount: 5,
  totalTokenCount: 19,
}

/** One candidate's piece. */
export const chunk = (parts: object[], more: object = {}, index = 0) => ({
  candidates: [{ content: { parts, role: 'model' }, index, ...more }],
  usageMetadata: { promptTokenCount: 12, totalTokenCount: 12 },
  modelVersion: 'gemini-2.5-flash',
})

export const end = (finishReason = 'STOP', parts: object[] = [{ text: '' }]) => ({
  ...chunk(parts, { finishReason }),
  usageMetadata: USAGE,
})

/** CRLF, as Google's servers do. */
export const streamChunks =
  (...chunks: unknown[]): Script =>
  async (exchange) => {
    await exchange.stream(chunks, { lineEnd: '\r\n' })
    await exchange.end()
  }

/** Answers as a well-behaved server would, streamed or not, as it is asked. */
export const answerContent =
  (words: string[]): Script =>
  async (exchange) => {
    if (!exchange.request.path.includes(':streamGenerateContent')) {
      return exchange.json(200, end('STOP', [{ text: words.join('') }]))
    }
    await streamChunks(...words.map((text) => chunk([{ text }])), end())(exchange)
  }

export const errorBody = (code: number, status: string, message: string, details?: object[]) => ({
  error: { code, message, status, ...(details && { details }) },
})
