// A sequence's own source of chance: the same seed gives the same numbers, whatever else runs.
//
// xoshiro128** (Blackman and Vigna, 2018), its state filled by splitmix64 from a 64-bit seed, so that neighbouring seeds
// have nothing in common.

export class Random {
  // 32-bit words: integers that V8 keeps unboxed, where a 64-bit generator would need BigInt
  #a: number
  #b: number
  #c: number
  #d: number

  /** @param seed any integer; its lowest 64 bits count */
  constructor(seed: bigint) {
    const [low, high] = splitmix64(seed, 2)
    this.#a = Number(low! & 0xffffffffn) | 0
    this.#b = Number(low! >> 32n) | 0
    this.#c = Number(high! & 0xffffffffn) | 0
    this.#d = Number(high! >> 32n) | 0
  }

  /** uniform in [0, 1), 53 bits */
  next(): number {
    const high = this.#word() >>> 5
    const low = this.#word() >>> 6
    return (high * 2 ** 26 + low) / 2 ** 53
  }

  #word(): number {
    const result = Math.imul(rotate(Math.imul(this.#b, 5), 7), 9)
    const shifted = this.#b << 9
    this.#c ^= this.#a
    this.#d ^= this.#b
    this.#b ^= this.#c
    this.#a ^= this.#d
    this.#c ^= shifted
    this.#d = rotate(this.#d, 11)
    return result
  }
}

function rotate(word: number, bits: number): number {
  return (word << bits) | (word >>> (32 - bits))
}

function splitmix64(seed: bigint, count: number): bigint[] {
  let state = BigInt.asUintN(64, seed)
  return Array.from({ length: count }, () => {
    state = BigInt.asUintN(64, state + 0x9e3779b97f4a7c15n)
    let word = state
    word = BigInt.asUintN(64, (word ^ (word >> 30n)) * 0xbf58476d1ce4e5b9n)
    word = BigInt.asUintN(64, (word ^ (word >> 27n)) * 0x94d049bb133111ebn)
    return word ^ (word >> 31n)
  })
}
