// Tensors as a file stores them: the seam between the two file formats and what a checkpoint makes
// of them.
//
// Names here are the file's own. `type` is the file's word for the element type; which of them can
// be turned into float32 is the source's to say, so that a checkpoint can refuse one before
// anything is converted.

export interface StoredTensor {
  name: string
  /** row-major: [rows, columns] of a matrix */
  shape: number[]
  type: string
  /** the file that holds it */
  file: string
}

export interface TensorSource {
  tensors: Map<string, StoredTensor>
  /** the element types that `read` understands */
  supportedTypes: readonly string[]
  /**
   * @throws CheckpointError naming the tensor where it is missing, cut off or of an unsupported
   * type
   */
  read(name: string): Promise<Float32Array>
  close(): Promise<void>
}
