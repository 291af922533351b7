// What the inputs and outputs of somebody else's decoder graph are for, by the names that exporters give them.
//
//   input_ids, attention_mask, position_ids           [batch, tokens] i64; the last one not everywhere
//   past_key_values.<n>.{key,value}                   [batch, kv heads, past, head size]
//   present[_key_values].<n>.{key,value}, logits      [batch, tokens, vocabulary]
//   use_cache_branch                                  whether there is a past (Optimum's merged decoders)
//   num_logits_to_keep, logits_to_keep                of how many last tokens the logits are wanted
//
// These are the names of onnx-community's files, of ONNX Runtime GenAI's model builder and of Optimum.
//
// Knows: names. Does not know: types, how the graph is run.

export interface ExportPorts {
  ids: string
  mask: string | null
  positions: string | null
  /** whether there is a past */
  useCache: string | null
  /** how many rows of logits to compute */
  keep: string | null
  logits: string
  /** in the order of the layers: keys and values */
  cache: { past: string; present: string }[]
}

const PAST = /^past(?:_key_values)?\.(\d+)\.(key|value)$/
const PRESENT = /^present(?:_key_values)?\.(\d+)\.(key|value)$/
const KEEP = ['num_logits_to_keep', 'logits_to_keep']

/** @returns the ports, or what is in the way, in one sentence */
export function findExportPorts(
  inputs: readonly string[],
  outputs: readonly string[],
): { ports: ExportPorts } | { problem: string } {
  const has = (name: string) => (inputs.includes(name) ? name : null)
  const presents = new Map<string, string>()
  for (const name of outputs) {
    const [, layer, part] = PRESENT.exec(name) ?? []
    if (layer !== undefined) presents.set(`${layer}.${part}`, name)
  }
  const cache = inputs
    .flatMap((past) => {
      const [, layer, part] = PAST.exec(past) ?? []
      const present = presents.get(`${layer}.${part}`)
      return present === undefined ? [] : [{ past, present, layer: Number(layer), part: part! }]
    })
    .sort((a, b) => a.layer - b.layer || a.part.localeCompare(b.part))
  const ports: ExportPorts = {
    ids: 'input_ids',
    mask: has('attention_mask'),
    positions: has('position_ids'),
    useCache: has('use_cache_branch'),
    keep: KEEP.find((name) => inputs.includes(name)) ?? null,
    logits: 'logits',
    cache: cache.map(({ past, present }) => ({ past, present })),
  }
  if (!inputs.includes('input_ids')) return { problem: 'it has no input input_ids' }
  if (!outputs.includes('logits')) return { problem: 'it has no output logits' }
  if (cache.length === 0) {
    return {
      problem:
        'it has no key/value cache (past_key_values.0.key and its like): export it with past',
    }
  }
  const known = new Set([
    ports.ids,
    ports.mask,
    ports.positions,
    ports.useCache,
    ports.keep,
    ...cache.map(({ past }) => past),
  ])
  const foreign = inputs.filter((name) => !known.has(name))
  if (foreign.length > 0) return { problem: `its inputs ${foreign.join(', ')} are not known` }
  return { ports }
}
