// How alike two answers are, from 0 to 1: chrF (Popović 2015) with equal weight of precision and recall, so that it is
// the same both ways round.
//
// Of each length from 1 to 6 that both texts have, the pieces of characters that both have, as a share of each text's
// pieces; the mean of those shares, and of the two means the harmonic one. Space doesn't count. It needs no tokenizer, so that it serves
// every language, code and JSON alike, and it falls gently with every word that is another.
//
// Knows: characters. Does not know: whose answers they are.

import { setImmediate } from 'node:timers/promises'

const LONGEST = 6
/** A few milliseconds, a length at a time. What answers differ in shows long before. */
const MAX_CHARACTERS = 4_000

export async function similarityOf(one: string, other: string): Promise<number> {
  const [a, b] = [charactersOf(one), charactersOf(other)]
  if (a.length === 0 || b.length === 0) return a.length === b.length ? 1 : 0
  let [shareOfA, shareOfB, lengths] = [0, 0, 0]
  for (let length = 1; length <= LONGEST; length++) {
    const [ofA, ofB] = [a.length - length + 1, b.length - length + 1]
    // One of them is shorter than that: it says nothing.
    if (ofA <= 0 || ofB <= 0) break
    lengths++
    const common = commonPieces(a, b, length)
    shareOfA += common / ofA
    shareOfB += common / ofB
    await setImmediate()
  }
  if (shareOfA + shareOfB === 0) return 0
  return (2 * shareOfA * shareOfB) / (shareOfA + shareOfB) / lengths
}

function charactersOf(text: string): string[] {
  return Array.from(text.replaceAll(/\s+/g, '')).slice(0, MAX_CHARACTERS)
}

function commonPieces(a: readonly string[], b: readonly string[], length: number): number {
  const counts = new Map<string, number>()
  for (const piece of piecesOf(a, length)) counts.set(piece, (counts.get(piece) ?? 0) + 1)
  let common = 0
  for (const piece of piecesOf(b, length)) {
    const left = counts.get(piece) ?? 0
    if (left === 0) continue
    common++
    counts.set(piece, left - 1)
  }
  return common
}

function* piecesOf(characters: readonly string[], length: number): Generator<string> {
  for (let start = 0; start + length <= characters.length; start++) {
    yield characters.slice(start, start + length).join('')
  }
}
