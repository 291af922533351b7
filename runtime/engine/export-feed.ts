// What every graph that somebody else exported is fed beside its cache: ids, mask, positions, switches.
//
// Rows of a batch that are shorter than the longest have zeros at the end of their mask, so that the position of a token is
// the number of those before it, as in a sequence alone.
//
// Knows: the inputs' meaning. Does not know: the cache, logits.

import type { ExportPorts } from '../graph/export-ports.ts'
import { Cells } from '../ort/cells.ts'
import type { Session, Tensor } from '../ort/session.ts'

export class ExportFeed {
  readonly #session: Session
  readonly #ports: ExportPorts
  readonly #ids: Cells<BigInt64Array>
  readonly #mask: Cells<BigInt64Array>
  readonly #positions: Cells<BigInt64Array>
  readonly #keep: Cells<BigInt64Array>
  readonly #useCache: Cells<Uint8Array>
  #held: Tensor[] = []

  /**
   * @param tokens most of one call
   * @param masked most entries of one mask
   */
  constructor(session: Session, ports: ExportPorts, tokens: number, masked: number) {
    this.#session = session
    this.#ports = ports
    this.#ids = new Cells(tokens * 8, BigInt64Array)
    this.#positions = new Cells(tokens * 8, BigInt64Array)
    this.#mask = new Cells(masked * 8, BigInt64Array)
    this.#keep = new Cells(8, BigInt64Array)
    this.#useCache = new Cells(1, Uint8Array)
  }

  /** rows of logits that a call of `length` tokens a sequence leaves for each of them */
  logitsPerSequence(length: number): number {
    return this.#ports.keep === null ? length : 1
  }

  /** Some tokens of one sequence behind `past` others. */
  sequence(tokens: ArrayLike<number>, past: number): Map<string, Tensor> {
    const count = tokens.length
    for (let i = 0; i < count; i++) {
      this.#ids.view[i] = BigInt(tokens[i]!)
      this.#positions.view[i] = BigInt(past + i)
    }
    this.#mask.view.fill(1n, 0, past + count)
    return this.#inputs(1, count, past + count, past > 0)
  }

  /** One token for each of several sequences, behind as many as `lengths` says. */
  step(tokens: ArrayLike<number>, lengths: ArrayLike<number>): Map<string, Tensor> {
    const batch = tokens.length
    let total = 0
    for (let i = 0; i < batch; i++) total = Math.max(total, lengths[i]! + 1)
    const mask = this.#mask.view
    for (let i = 0; i < batch; i++) {
      this.#ids.view[i] = BigInt(tokens[i]!)
      this.#positions.view[i] = BigInt(lengths[i]!)
      const own = i * total + lengths[i]! + 1
      mask.fill(1n, i * total, own)
      mask.fill(0n, own, (i + 1) * total)
    }
    return this.#inputs(batch, 1, total, true)
  }

  /** Releases the last call's tensors. */
  release(): void {
    for (const tensor of this.#held) this.#session.release(tensor)
    this.#held = []
  }

  #inputs(batch: number, length: number, total: number, hasPast: boolean): Map<string, Tensor> {
    const { ids, mask, positions, keep, useCache } = this.#ports
    const session = this.#session
    const inputs = new Map<string, Tensor>()
    const bind = (name: string | null, make: () => Tensor) => {
      if (name === null) return
      const tensor = make()
      this.#held.push(tensor)
      inputs.set(name, tensor)
    }
    this.#keep.view[0] = 1n
    this.#useCache.view[0] = hasPast ? 1 : 0
    bind(ids, () => session.tensor('i64', [batch, length], this.#ids.address))
    bind(mask, () => session.tensor('i64', [batch, total], this.#mask.address))
    bind(positions, () => session.tensor('i64', [batch, length], this.#positions.address))
    bind(keep, () => session.tensor('i64', [], this.#keep.address))
    bind(useCache, () => session.tensor('bool', [1], this.#useCache.address))
    return inputs
  }
}
