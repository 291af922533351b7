// Frames of a stream of the Responses API: an event's name, its fields, its number.

export class Events {
  #next: number

  /** @param first number of the first event */
  constructor(first: number) {
    this.#next = first
  }

  tell(type: string, fields: object): string {
    const data = JSON.stringify({ type, sequence_number: this.#next++, ...fields })
    return `event: ${type}\ndata: ${data}\n\n`
  }

  /** What all frames of one kind have in common is put together once; each then costs its own text. */
  repeat(type: string, fields: object): (own: string) => string {
    const start = `event: ${type}\ndata: ${JSON.stringify({ type, ...fields }).slice(0, -1)},`
    return (own) => `${start}${own},"sequence_number":${this.#next++}}\n\n`
  }
}
