// The upstream of the canary's proof: how it answers is decided by the name of the model that it is asked for, such as
// `slow-7@2`: version 1 is good, version 2 is what the name says, and the number is the seed.

import { chunk, usageChunk } from '../support/openai-wire.ts'
import { ScriptedUpstream } from '../support/scripted-upstream.ts'
import { randomOf } from '../support/trial.ts'
import type { Lasting } from '../support/lasting.ts'

interface Manner {
  errors: number
  refusals: number
  /** mean milliseconds to the first token, and from there to the end */
  firstMs: number
  restMs: number
  /** thumbs up of all thumbs */
  liked: number
}

const GOOD: Manner = { errors: 0.01, refusals: 0.02, firstMs: 8, restMs: 6, liked: 0.9 }

/** Each is bad for one guard; what is slow is so beside a live version on a machine that has other work. */
export const MANNERS: Record<string, Manner> = {
  good: GOOD,
  failing: { ...GOOD, errors: 0.35 },
  dead: { ...GOOD, errors: 1 },
  refusing: { ...GOOD, refusals: 0.5 },
  late: { ...GOOD, firstMs: 1_200 },
  slow: { ...GOOD, restMs: 1_200 },
  disliked: { ...GOOD, liked: 0.1 },
}

export const mannerOf = (version: string): Manner => {
  const [, kind = '', number] = /^([a-z]+)-\d+@(\d+)$/.exec(version) ?? []
  return (number === '1' ? GOOD : MANNERS[kind]) ?? GOOD
}

export async function startTrialUpstream(t: Lasting): Promise<ScriptedUpstream> {
  const upstream = await ScriptedUpstream.start(t)
  const randoms = new Map<string, () => number>()
  upstream.script = async (exchange) => {
    upstream.requests.length = 0
    const { model } = exchange.request.json as { model: string }
    const { errors, refusals, firstMs, restMs } = mannerOf(model)
    const random = randoms.get(model) ?? randomOf(Number(/-(\d+)@/.exec(model)?.[1] ?? 1))
    randoms.set(model, random)
    const around = (ms: number) => ms * (0.7 + 0.6 * random())
    if (random() < errors) return exchange.json(500, { error: { message: 'It failed.' } })
    await exchange.delay(around(firstMs))
    await exchange.stream([chunk({ role: 'assistant', content: 'It ' })])
    await exchange.delay(around(restMs))
    const reason = random() < refusals ? 'content_filter' : 'stop'
    await exchange.stream([
      chunk({ content: 'answers.' }),
      chunk({}, reason),
      usageChunk(),
      '[DONE]',
    ])
    await exchange.end()
  }
  return upstream
}
