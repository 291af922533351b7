// Clients that stream one answer after the other, each a conversation of its own, and write down who answered and what.
//
// Knows: HTTP as a client has it. Does not know: what should have come.

import { randomUUID } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'

/** What a client saw of one request. */
export interface Answer {
  /** of performance.now() */
  startMs: number
  endMs: number
  /** null where no answer came */
  status: number | null
  /** by the header */
  version: string | null
  text: string
  /** it ended as streams do */
  isWhole: boolean
}

export interface ClientsOptions {
  count: number
  /** addresses of gateways, taken in turn */
  urls: string[]
  key: string
  body: Record<string, unknown>
}

const PAUSE_MS = 20

export class Clients {
  readonly answers: Answer[] = []
  readonly #running: Promise<void>
  #isStopped = false

  constructor(options: ClientsOptions) {
    const clients = Array.from({ length: options.count }, (_, index) => this.#run(options, index))
    this.#running = Promise.all(clients).then(() => {})
  }

  async stop(): Promise<void> {
    this.#isStopped = true
    await this.#running
  }

  async #run({ urls, key, body }: ClientsOptions, index: number): Promise<void> {
    while (!this.#isStopped) {
      this.answers.push(await ask(urls[index % urls.length]!, key, body))
      await sleep(PAUSE_MS * 2 * Math.random())
    }
  }
}

export async function ask(url: string, key: string, body: object): Promise<Answer> {
  const answer: Answer = {
    startMs: performance.now(),
    endMs: 0,
    status: null,
    version: null,
    text: '',
    isWhole: false,
  }
  try {
    const response = await fetch(`${url}/v1/chat/completions`, {
      method: 'POST',
      headers: {
        authorization: `Bearer ${key}`,
        'content-type': 'application/json',
        'x-headrace-session': randomUUID(),
      },
      body: JSON.stringify({ ...body, stream: true }),
    })
    answer.status = response.status
    answer.version = response.headers.get('x-headrace-version')
    const lines = (await response.text()).split('\n').filter((line) => line.startsWith('data: '))
    answer.isWhole = lines.at(-1) === 'data: [DONE]'
    for (const line of lines.slice(0, -1)) {
      const frame = JSON.parse(line.slice(6)) as { choices?: { delta: { content?: string } }[] }
      answer.text += frame.choices?.[0]?.delta.content ?? ''
    }
  } catch {
    // What came until then is what the client has.
  }
  answer.endMs = performance.now()
  return answer
}
