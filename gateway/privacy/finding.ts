// What detectors hand to the redactor: where something is, and of which kind.

/** Half-open, in UTF-16 units. */
export interface Finding {
  start: number
  end: number
  /** `EMAIL`; what it is replaced by begins with it */
  kind: string
  /** equal for equal things, however they are written; absent: the text itself */
  value?: string
}

/**
 * Where a word begins: `\n` in a text that is quoted JSON is no letter. Letters are Latin ones: others stand beside numbers
 * without a space, where they have no words' ends at all.
 */
export const BEGIN = String.raw`(?:(?<![A-Za-z0-9_])|(?<=\\[nrt]))`
export const END = String.raw`(?![A-Za-z0-9_])`

/** Letters and digits alone, as they are compared. */
export function plain(text: string): string {
  return text.replaceAll(/[^\p{L}\p{N}]/gu, '').toUpperCase()
}
