// Bytes to JSON values, one a line.
//
// Only whole lines are decoded, so a character that is cut by the edge of a chunk needs no care. Empty lines are skipped.
//
// Knows: lines and JSON. Does not know: what the values mean, where the bytes come from.

const NEWLINE = 0x0a
// Longer than any event. An encoder's answer is one: 2,048 vectors of 8,192 numbers are 90 MB; labels and entities are less.
const MAX_LINE_BYTES = 128 * 1024 * 1024
const SHOWN_CHARACTERS = 80

/** What arrived is not what a runtime sends. */
export class MalformedLine extends Error {
  override name = 'MalformedLine'
}

export class NdjsonReader {
  /** the beginning of a line whose end is still to come */
  readonly #rest: Buffer[] = []
  #restBytes = 0

  get isWithinLine(): boolean {
    return this.#restBytes > 0
  }

  /** @throws MalformedLine */
  read(chunk: Buffer, onValue: (value: unknown) => void): void {
    let start = 0
    for (;;) {
      const end = chunk.indexOf(NEWLINE, start)
      if (end === -1) break
      const line = this.#complete(chunk, start, end)
      start = end + 1
      if (line !== '') onValue(parse(line))
    }
    if (start === chunk.length) return
    this.#rest.push(start === 0 ? chunk : chunk.subarray(start))
    this.#restBytes += chunk.length - start
    if (this.#restBytes > MAX_LINE_BYTES) {
      throw new MalformedLine(`a line of more than ${MAX_LINE_BYTES} bytes`)
    }
  }

  #complete(chunk: Buffer, start: number, end: number): string {
    if (this.#restBytes === 0) return chunk.toString('utf8', start, end)
    this.#rest.push(chunk.subarray(start, end))
    const line = Buffer.concat(this.#rest).toString()
    this.#rest.length = 0
    this.#restBytes = 0
    return line
  }
}

function parse(line: string): unknown {
  try {
    return JSON.parse(line)
  } catch (cause) {
    const shown = line.length > SHOWN_CHARACTERS ? `${line.slice(0, SHOWN_CHARACTERS)}…` : line
    throw new MalformedLine(`a line that is not JSON: ${shown}`, { cause })
  }
}
