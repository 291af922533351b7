// The upstream of the proofs: what it does is decided by the model that it is asked for.
//
//   steady     a short answer, whole or as a stream
//   slow       the same, over seconds
//   failing    a 500
//   cut        breaks off in the middle
//   embedding  embeddings
//   claude     steady, in Anthropic's dialect

import { answerMessage } from '../support/anthropic-wire.ts'
import { answerChat, USAGE } from '../support/openai-wire.ts'
import { refuseWith, ScriptedUpstream } from '../support/scripted-upstream.ts'
import type { Lasting } from '../support/lasting.ts'
import type { Script } from '../support/scripted-upstream.ts'

const WORDS = ['It ', 'answers ', 'in ', 'a ', 'few ', 'words.']
const COMPATIBLE_MODELS = ['steady', 'slow', 'failing', 'cut', 'embedding']
const PRICE = { input: 1, output: 2 }

/** headrace.yaml of a gateway in front of it. */
export const DECLARED = (url: string) => ({
  upstreams: {
    compatible: { api: 'compatible', base_url: `${url}/v1`, key: 'sk-proof' },
    anthropic: { api: 'anthropic', base_url: url, key: 'sk-proof' },
  },
  models: {
    ...Object.fromEntries(
      COMPATIBLE_MODELS.map((model) => [
        model,
        { targets: [{ upstream: 'compatible', model, price: PRICE }], retries: 0 },
      ]),
    ),
    claude: { targets: [{ upstream: 'anthropic', model: 'claude' }], retries: 0 },
  },
})

const steady = answerChat(WORDS, { delayMs: 5 })
const slow = answerChat(WORDS, { delayMs: 400 })
const claude = answerMessage(WORDS)

const cut: Script = async (exchange) => {
  if (!exchange.request.json?.stream) return exchange.cut()
  await exchange.stream([{ choices: [{ index: 0, delta: { content: 'It ' } }] }])
  await exchange.delay(10)
  exchange.cut()
}

const completion: Script = (exchange) =>
  exchange.json(200, {
    id: 'cmpl-1',
    object: 'text_completion',
    created: 1,
    model: 'steady',
    choices: [{ index: 0, text: WORDS.join(''), finish_reason: 'stop', logprobs: null }],
    usage: USAGE,
  })

const embedding: Script = (exchange) =>
  exchange.json(200, {
    object: 'list',
    model: 'embedding',
    data: [{ object: 'embedding', index: 0, embedding: [0.25, -0.5, 0.125] }],
    usage: { prompt_tokens: 3, total_tokens: 3 },
  })

const SCRIPTS: Record<string, Script> = {
  steady,
  slow: async (exchange) => {
    if (!exchange.request.json?.stream) await exchange.delay(2_000)
    await slow(exchange)
  },
  failing: refuseWith(500),
  cut,
  embedding,
  claude,
}

export async function startUpstream(t: Lasting): Promise<ScriptedUpstream> {
  const upstream = await ScriptedUpstream.start(t)
  upstream.script = (exchange) => {
    // Tests look at them; here there are too many.
    upstream.requests.length = 0
    const { path, json } = exchange.request
    if (path.endsWith('/v1/completions')) return completion(exchange)
    return (SCRIPTS[json?.model] ?? refuseWith(404))(exchange)
  }
  return upstream
}
