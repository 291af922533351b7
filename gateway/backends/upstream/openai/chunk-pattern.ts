// Reads the text out of a chunk that differs from the last one in nothing else, without parsing it.
//
// In a stream all chunks but a few are the same save for one string. Once a chunk was parsed, what is before and after
// that string is known; a chunk that begins and ends so has its text between, as one JSON string, or it is parsed like
// the first. Fifty chunks are read in a fifth of the time that JSON.parse takes, which is most of what reading a
// stream costs here.
//
// Knows: JSON strings. Does not know: what chunks mean.

/** A stream whose chunks differ elsewhere too is not worth the search. */
const MAX_ATTEMPTS = 8

export class ChunkPattern {
  readonly #key: string
  #head = ''
  #tail = ''
  #attempts = 0

  /** @param field whose string it is that differs */
  constructor(field: string) {
    this.#key = `"${field}":`
  }

  /** The text of a chunk that is like the one that was learned; null for any other. */
  match(chunk: string): string | null {
    const head = this.#head
    const tail = this.#tail
    if (head === '' || !chunk.startsWith(head) || !chunk.endsWith(tail)) return null
    const end = chunk.length - tail.length
    // Two quotes at least; head and tail may not overlap.
    if (end < head.length + 2 || chunk.charCodeAt(head.length) !== QUOTE) return null
    const isPlain =
      chunk.indexOf('"', head.length + 1) === end - 1 &&
      !chunk.slice(head.length, end).includes('\\')
    if (isPlain) return chunk.slice(head.length + 1, end - 1)
    try {
      const text: unknown = JSON.parse(chunk.slice(head.length, end))
      return typeof text === 'string' ? text : null
    } catch {
      return null
    }
  }

  /** @param text what a parsed chunk had in the field, when it had nothing else to say */
  learn(chunk: string, text: string): void {
    if (this.#attempts >= MAX_ATTEMPTS) return
    this.#attempts++
    const at = chunk.indexOf(this.#key)
    // Where the name occurs twice, which of them it was is not known.
    if (at < 0 || at !== chunk.lastIndexOf(this.#key)) return
    let start = at + this.#key.length
    if (chunk.charCodeAt(start) === SPACE) start++
    const end = endOfString(chunk, start)
    try {
      if (JSON.parse(chunk.slice(start, end)) !== text) return
    } catch {
      return
    }
    this.#head = chunk.slice(0, start)
    this.#tail = chunk.slice(end)
  }
}

const QUOTE = 34
const SPACE = 32
const BACKSLASH = 92

/** Where the JSON string that starts at `start` is over. */
function endOfString(json: string, start: number): number {
  for (let at = start + 1; at < json.length; at++) {
    const code = json.charCodeAt(at)
    if (code === BACKSLASH) at++
    else if (code === QUOTE) return at + 1
  }
  return json.length
}
