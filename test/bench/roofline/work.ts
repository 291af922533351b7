// What a forward pass has to do at least: bytes that a decode step reads, operations that a prompt takes.
//
// Williams, Waterman, Patterson, "Roofline" (2009): the slower of bytes over bandwidth and operations over peak is the floor.
//
// Knows: the network's shape and how a version stores it. Does not know: devices, times.

import type { DecoderManifest } from '../../../models/manifest.ts'
import { kvBytesPerToken } from '../../../runtime/engine/cache-size.ts'

/** Every weight once, and the keys and values of all rows. The tables that single rows are looked up in are not read. */
export function bytesOfDecode(manifest: DecoderManifest, rows: number, length: number): number {
  return weightBytes(manifest) + rows * length * kvBytesPerToken(manifest)
}

function weightBytes({ architecture, files, graph, precision }: DecoderManifest): number {
  const { contextLength, headDim, vocabSize, hiddenSize, tiedEmbeddings } = architecture
  const stored = files[graph.dataFile]?.bytes ?? 0
  const floatBytes = graph.kvType === 'f16' ? 2 : 4
  const positions = contextLength * headDim * floatBytes
  // At int4 the head has bytes of its own, in 8 bits.
  const isHead = tiedEmbeddings && precision !== 'int4-fp16'
  return stored - positions - (isHead ? 0 : vocabSize * hiddenSize * floatBytes)
}

/** Two for each weight of a linear layer and token, attention's two products, and the head for the last token. */
export function operationsOfPrefill({ architecture }: DecoderManifest, tokens: number): number {
  const { layers, hiddenSize, intermediateSize, heads, kvHeads, headDim, vocabSize } = architecture
  const attention = hiddenSize * headDim * (2 * heads + 2 * kvHeads)
  const linear = layers * (attention + 3 * hiddenSize * intermediateSize)
  // Causal: half of the square.
  const scores = layers * heads * headDim * tokens ** 2
  return 2 * linear * tokens + 2 * scores + 2 * hiddenSize * vocabSize
}
