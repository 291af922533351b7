// Keeps an upstream's secrets out of texts that are logged or told.
//
// Upstreams quote what they were sent: a refused key comes back in the refusal. So every text of theirs goes through
// here before it becomes a message.

/** shorter values are versions and words (`2024-10-21`, `true`), and taking them out would garble messages */
const MIN_CHARACTERS = 8
const INSTEAD = '[redacted]'
/** keys of well-known vendors, whosever they are; upstreams mask parts of them with asterisks or dots */
const KEY_LIKE = /(?:\b(?:sk|pk|rk|gsk|hr|xai)[-_]|\bAIza|\bBearer +)[\w*.-]{8,}/g

export class Secrets {
  readonly #values: string[]

  /** @param headers values, of which `Bearer x` and `x` are both secret */
  constructor(headers: string[]) {
    this.#values = headers
      .flatMap((value) => [value, value.replace(/^\S+ +/, '')])
      .filter((value) => value.length >= MIN_CHARACTERS)
      // The longest first: a secret may begin with another.
      .sort((a, b) => b.length - a.length)
  }

  redact(text: string): string {
    for (const value of this.#values) text = text.replaceAll(value, INSTEAD)
    return text.replaceAll(KEY_LIKE, INSTEAD)
  }
}
