// What the loop needs of whatever computes a batch of texts: the seam between batches and tensors.
//
// Knows: token ids, rows of numbers. Does not know: requests, what the numbers mean.

/** One text, or two that are read together, as the graph takes it. */
export interface EncodedText {
  ids: ArrayLike<number>
  /** which of the two texts each token is of; null where all are of the first */
  segments: ArrayLike<number> | null
}

/** Rows of numbers; valid until the next run. */
export interface Rows {
  values: Float32Array
  /** numbers of a row */
  width: number
  /** where the n-th text's rows begin: one for each of its tokens, or one in all */
  firstRow(text: number): number
}

export interface Runner {
  /** whether a text has a row for each of its tokens */
  readonly isByToken: boolean
  /** Computes texts together; runs to its end before it returns. */
  run(texts: readonly EncodedText[]): Rows
  close(): void
}
