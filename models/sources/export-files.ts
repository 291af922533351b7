// Picks the files of a graph that somebody else exported to ONNX: the graph, its weights, and what lies beside it.
//
// Repositories keep a dozen forms of one graph in `onnx/`, and the configuration and the tokenizer above it. Weights are in
// files that are named after the graph (`model.onnx_data`, `model.onnx.data`, numbered where there are several).
//
// Knows: file names. Does not know: what is in them.

import { posix } from 'node:path'

/** The configuration of ONNX Runtime GenAI's exports, beside those that checkpoints have. */
const GENAI_CONFIG = 'genai_config.json'
/** The one that is meant where a place holds several and nobody says which. */
const USUAL = ['model.onnx', 'decoder_model_merged.onnx']

export const isGraph = (path: string): boolean => path.endsWith('.onnx')

/** All graphs, or the one among them that needs no naming. */
export function candidateGraphs(paths: string[]): string[] {
  const graphs = paths.filter(isGraph)
  const usual = USUAL.flatMap((name) =>
    ['', 'onnx/'].map((folder) => folder + name).filter((path) => graphs.includes(path)),
  )
  return usual.length > 0 ? usual.slice(0, 1) : graphs
}

/** @param isBeside whether a name is one of those that are kept beside weights of any kind */
export function filesOfGraph(
  paths: string[],
  graph: string,
  isBeside: (name: string) => boolean,
): string[] {
  const folder = posix.dirname(graph)
  const home = posix.basename(folder) === 'onnx' ? posix.dirname(folder) : folder
  const weights = posix.basename(graph)
  return paths.filter((path) => {
    const name = posix.basename(path)
    const place = posix.dirname(path)
    if (path === graph) return true
    if (place === folder && /^[._]data/.test(name.slice(weights.length))) {
      return name.startsWith(weights)
    }
    if (!isBeside(name) && name !== GENAI_CONFIG) return false
    // All lie in one folder in the end, and what is beside the graph was exported with it.
    return place === folder || (place === home && !paths.includes(posix.join(folder, name)))
  })
}
