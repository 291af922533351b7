// The tool calls of one choice, put together from the pieces that servers send.
//
// OpenAI numbers them, gives id and name with the first piece and arguments as text with the others. Servers that speak
// its dialect leave out the number, give all calls number 0, leave out the id, send a new id with each piece, repeat
// the name, or send arguments whole, as an object. What can be told apart without guessing is; what never gets a name
// is refused.
//
// Knows: pieces on the wire, and our events. Does not know: what the tools are.

import type { AnswerEvent } from '../../backend.ts'

/** A piece; everything may be missing or of another type. */
export interface WireToolCall {
  index?: unknown
  id?: unknown
  function?: { name?: unknown; arguments?: unknown } | null
}

interface OpenCall {
  /** ours, from 0 */
  index: number
  wireIndex: number | null
  wireId: string | null
  /** null until it came; what is said before that waits */
  name: string | null
  /** all arguments so far */
  text: string
}

export class ToolCallReader {
  readonly #choice: number
  readonly #makeId: (index: number) => string
  readonly #calls: OpenCall[] = []

  /** @param makeId for calls that come without one */
  constructor(choice: number, makeId: (index: number) => string) {
    this.#choice = choice
    this.#makeId = makeId
  }

  /** A call that never got a name can't be told. */
  get isNameless(): boolean {
    return this.#calls.some(({ name }) => name === null)
  }

  read(piece: WireToolCall, into: AnswerEvent[]): void {
    const { name, arguments: given } = piece.function ?? {}
    const text = typeof given === 'string' ? given : given ? JSON.stringify(given) : ''
    const call = this.#find(piece) ?? this.#begin(piece)
    const choice = this.#choice
    const { index } = call
    call.text += text
    if (call.name !== null) {
      if (text !== '') into.push({ type: 'toolArguments', choice, index, text })
    } else if (typeof name === 'string' && name !== '') {
      call.name = name
      into.push({ type: 'toolCall', choice, index, id: call.wireId ?? this.#makeId(index), name })
      if (call.text !== '') into.push({ type: 'toolArguments', choice, index, text: call.text })
    }
  }

  /** The call that a piece continues; null where it begins one. */
  #find(piece: WireToolCall): OpenCall | null {
    const { index } = piece
    const id = idOf(piece)
    const isNamed = typeof piece.function?.name === 'string' && piece.function.name !== ''
    const latest =
      typeof index === 'number'
        ? this.#calls.findLast(({ wireIndex }) => wireIndex === index)
        : this.#calls.at(-1)
    if (!latest) return null
    if (id !== null && id !== latest.wireId) {
      const known = this.#calls.find(({ wireId }) => wireId === id)
      if (known) return known
      // With a name it is another call, whatever its number; without, an id that is made for each piece.
      return isNamed && latest.name !== null ? null : latest
    }
    return id === null && isNamed && latest.name !== null && isWhole(latest.text) ? null : latest
  }

  #begin(piece: WireToolCall): OpenCall {
    const call: OpenCall = {
      index: this.#calls.length,
      wireIndex: typeof piece.index === 'number' ? piece.index : null,
      wireId: idOf(piece),
      name: null,
      text: '',
    }
    this.#calls.push(call)
    return call
  }
}

function idOf({ id }: WireToolCall): string | null {
  return typeof id === 'string' && id !== '' ? id : null
}

function isWhole(json: string): boolean {
  try {
    JSON.parse(json)
    return true
  } catch {
    return false
  }
}
