// Says to the adapted form of a graph which row goes through which adapter (runtime/graph/adapter-inputs.ts).
//
// Knows: rows and places. Does not know: what an adapter is.

import { ADAPTED_ROWS, ADAPTER_PICKS, ADAPTERS_USED } from '../graph/adapter-inputs.ts'
import { Cells } from '../ort/cells.ts'
import type { Session, Tensor } from '../ort/session.ts'

// A thread that is left with one row would multiply it by other kernels, with other last bits.
const LEAST_ROWS_OF_A_THREAD = 2

export class AdaptedRows {
  readonly #least: number
  readonly #used: Cells<BigInt64Array>
  readonly #rows: Cells<BigInt64Array>
  readonly #picks: Cells<BigInt64Array>

  /** @param most rows of one call */
  constructor(most: number, threads: number) {
    this.#least = LEAST_ROWS_OF_A_THREAD * threads
    this.#used = new Cells(most * 8, BigInt64Array)
    this.#rows = new Cells(Math.max(most, this.#least) * 8, BigInt64Array)
    this.#picks = new Cells(most * 2 * 8, BigInt64Array)
  }

  /**
   * @param count rows of the call
   * @param placeOf the adapter of each
   * @returns how many adapters are used
   */
  set(count: number, placeOf: (row: number) => number): number {
    const used: number[] = []
    for (let row = 0; row < count; row++) {
      const place = placeOf(row)
      let index = used.indexOf(place)
      if (index < 0) index = used.push(place) - 1
      this.#picks.view[2 * row] = BigInt(index)
      this.#picks.view[2 * row + 1] = BigInt(row)
    }
    for (const [index, place] of used.entries()) this.#used.view[index] = BigInt(place)
    const repeated = Math.max(count, this.#least)
    for (let row = 0; row < repeated; row++) this.#rows.view[row] = BigInt(row < count ? row : 0)
    return used.length
  }

  /** The tensors of a call of `count` rows that uses `used` adapters. */
  tensors(session: Session, count: number, used: number): [name: string, tensor: Tensor][] {
    const repeated = Math.max(count, this.#least)
    return [
      [ADAPTERS_USED, session.tensor('i64', [used], this.#used.address)],
      [ADAPTED_ROWS, session.tensor('i64', [repeated], this.#rows.address)],
      [ADAPTER_PICKS, session.tensor('i64', [count, 2], this.#picks.address)],
    ]
  }
}
