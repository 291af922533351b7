// The whole fault table as requests to be made: each fault streamed and whole, with somebody to fall back on and without.
//
// Each cell is a model of its own, so that no fault opens another's breaker.

import { ANTHROPIC, COMPATIBLE, GEMINI } from './fault-wire.ts'
import { FAULTS } from './faults.ts'
import { answerChat } from './openai-wire.ts'
import { ScriptedUpstream } from './scripted-upstream.ts'
import type { Declaration } from '../../gateway/declared/schema.ts'
import type { FaultWire } from './fault-wire.ts'
import type { Lasting } from './lasting.ts'
import type { ScriptedExchange } from './scripted-upstream.ts'

/** dialects of the upstream that fails */
export const WIRES = [
  ['compatible', COMPATIBLE],
  ['anthropic', ANTHROPIC],
  ['gemini', GEMINI],
] as const
type Api = (typeof WIRES)[number][0]

const ways = (['streamed', 'whole'] as const).flatMap((way) =>
  [false, true].map((hasFallback) => ({ way, hasFallback })),
)
export const CELLS = Object.entries(FAULTS).flatMap(([name, fault], at) =>
  ways.map(({ way, hasFallback }) => ({
    name: `${name}, ${way}, ${hasFallback ? 'with a fallback' : 'alone'}`,
    model: `${way}-${hasFallback ? 'falls' : 'alone'}-${at}`,
    fault,
    ...fault[way],
    isStreamed: way === 'streamed',
    hasFallback,
  })),
)
export type Cell = (typeof CELLS)[number]

/** the fallback's turn */
export const falls = ({ fate, hasFallback }: Cell) =>
  hasFallback && !('text' in fate) && !fate.isFinal

type Price = { input: number; cached_input?: number; output: number }

/** An upstream that fails, one that is away, and the fallback, which says "Instead". */
export async function startFaults(
  t: Lasting,
  api: Api,
  wire: FaultWire,
  prices: { near?: Price; far?: Price } = {},
) {
  const [near, far, away] = await Promise.all([1, 2, 3].map(() => ScriptedUpstream.start(t)))
  if (!near || !far || !away) throw new Error('Three upstreams were to be started.')
  await away.refuse()
  const scripts = new Map(
    CELLS.map(({ model, script }) => [model, (x: ScriptedExchange) => script(x, wire)]),
  )
  near.script = (x) => scripts.get(wire.modelOf(x.request))?.(x)
  far.script = answerChat(['In', 'stead'])
  const declaration: Declaration = {
    upstreams: {
      near: { api, base_url: near.url + wire.path, key: 'a-key-of-the-tests' },
      away: { api, base_url: away.url + wire.path, key: 'a-key-of-the-tests' },
      far: { api: 'compatible', base_url: `${far.url}/v1` },
    },
    models: Object.fromEntries(
      CELLS.map(({ model, fault, hasFallback, timeouts }) => [
        model,
        {
          targets: [
            { upstream: fault.isAway ? 'away' : 'near', model, timeouts, price: prices.near },
          ],
          fallbacks: hasFallback ? [{ upstream: 'far', model, price: prices.far }] : [],
          retries: 0,
        },
      ]),
    ),
  }
  return { near, far, declaration }
}
