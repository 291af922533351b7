// What every kind of checkpoint looks like to the graph builder, whether it was safetensors or GGUF.
//
// Tensors go by Hugging Face's names and layouts (`model.layers.0.self_attn.q_proj.weight`, [out, in], row-major, rotary
// in half-split order), whatever the file's own are: translating is the reader's work. Values are read on demand and
// given as float32, so that only one tensor is in memory at a time.
//
// Knows: names, shapes, numbers. Does not know: ONNX, quantisation of what is written, where the file came from.

import type { Architecture, SamplingDefaults } from '../../models/manifest.ts'

export interface TensorInfo {
  name: string
  /** [rows, columns] of a matrix, [n] of a vector */
  shape: number[]
}

export interface Checkpoint {
  architecture: Architecture
  /** every tensor of the model, by Hugging Face's name */
  tensors: Map<string, TensorInfo>
  /**
   * The values of a tensor, row-major.
   * @throws CheckpointError naming the tensor where it is missing or cut off
   */
  read(name: string): Promise<Float32Array>
  tokenizer: CheckpointTokenizer
  licence: string | null
  close(): Promise<void>
}

export interface CheckpointTokenizer {
  /** contents of tokenizer.json */
  json: object
  /** contents of tokenizer_config.json */
  config: object
  bosTokenId: number | null
  endTokenIds: number[]
  chatTemplate: string | null
  sampling: SamplingDefaults
}

/** A checkpoint that can't be read; the message names file, tensor or field, what was found and what is supported. */
export class CheckpointError extends Error {
  override name = 'CheckpointError'
}
