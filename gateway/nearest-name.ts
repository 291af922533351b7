// The name that was most likely meant by one that nobody knows.

/** A slip or two, in short names fewer; with more, a guess would mislead more often than help. */
const MAX_EDITS = 3
const LETTERS_PER_EDIT = 2

export function nearestName(given: string, known: readonly string[]): string | null {
  let nearest: string | null = null
  let least = Math.min(MAX_EDITS, Math.floor(given.length / LETTERS_PER_EDIT)) + 1
  for (const name of known) {
    const edits = editDistance(given, name)
    if (edits < least) [nearest, least] = [name, edits]
  }
  return nearest
}

/** Levenshtein's: insertions, deletions and substitutions that turn one into the other. */
function editDistance(from: string, to: string): number {
  let row = Array.from({ length: to.length + 1 }, (_, index) => index)
  for (const [i, letter] of [...from].entries()) {
    const next = [i + 1]
    for (const [j, other] of [...to].entries()) {
      const substituted = row[j]! + (letter === other ? 0 : 1)
      next.push(Math.min(substituted, row[j + 1]! + 1, next[j]! + 1))
    }
    row = next
  }
  return row[to.length]!
}
