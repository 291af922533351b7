// Thoughts that Anthropic gives out encrypted, and wants back as they were.
//
// They travel as reasoning without a text, whose signature is the ciphertext behind a mark. Only what speaks Anthropic's
// dialect on either side looks for the mark; to everybody else a signature is opaque anyway.

const MARK = 'redacted_thinking:'

export function markRedacted(data: string): string {
  return MARK + data
}

/** null where the signature is one */
export function redactedData(signature: string): string | null {
  return signature.startsWith(MARK) ? signature.slice(MARK.length) : null
}
