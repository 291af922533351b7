// What every encoder's checkpoint looks like to the graph builder, whatever its family calls its tensors.
//
// Names are BERT's without a prefix (`encoder.layer.0.attention.self.query.weight`); the head's are `head.dense` and
// `head.out`. Layouts are PyTorch's, [out, in].
//
// Knows: names, shapes, numbers. Does not know: ONNX, files.

import type { EncoderArchitecture, EncoderOutput } from '../../models/encoder.ts'
import type { TensorInfo } from './checkpoint.ts'

export interface EncoderHead {
  /** the texts' first tokens, or every token */
  reads: 'first' | 'each'
  /** what follows the layer before the last; null where there is only one */
  dense: 'Tanh' | 'Relu' | null
  labels: number
}

export interface EncoderCheckpoint {
  architecture: EncoderArchitecture
  /** null: the hidden states are what is wanted */
  head: EncoderHead | null
  /** what the graph's numbers mean */
  output: EncoderOutput
  tensors: Map<string, TensorInfo>
  /**
   * The values of a tensor, row-major.
   * @throws CheckpointError naming the tensor where it is missing or cut off
   */
  read(name: string): Promise<Float32Array>
  tokenizer: EncoderTokenizer
  /** most tokens of a text, the marks around it included */
  contextLength: number
  licence: string | null
  close(): Promise<void>
}

export interface EncoderTokenizer {
  /** contents of tokenizer.json */
  json: object
  /** contents of tokenizer_config.json */
  config: object
  padTokenId: number
}
