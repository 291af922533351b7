// A runner whose numbers say what it was given: each token's row is its id, and batches are kept for the test to look at.

import type { EncodedText, Rows, Runner } from '../../../runtime/encoder/runner.ts'

export class FakeRunner implements Runner {
  readonly isByToken = true
  /** lengths of the texts of each batch */
  readonly batches: number[][] = []
  readonly width: number

  constructor(width = 2) {
    this.width = width
  }

  run(texts: readonly EncodedText[]): Rows {
    this.batches.push(texts.map(({ ids }) => ids.length))
    const starts: number[] = []
    const values: number[] = []
    for (const { ids } of texts) {
      starts.push(values.length / this.width)
      for (const id of Array.from(ids)) {
        for (let i = 0; i < this.width; i++) values.push(i === 0 ? id : 1)
      }
    }
    return {
      values: Float32Array.from(values),
      width: this.width,
      firstRow: (text) => starts[text]!,
    }
  }

  close(): void {}
}
