// What is kept of an exchange's texts.
//
// Knows: the three policies and which of two counts. Does not know: what redaction is, who sets a policy.

export const BODY_POLICIES = ['whole', 'redacted', 'none'] as const
/** `whole`: as they are; `redacted`: with what identifies people and opens doors taken out; `none`: none of them. */
export type BodyPolicy = (typeof BODY_POLICIES)[number]

/** A project's promise can't be undone by one of its keys, and a key may promise more. Null says nothing. */
export function stricterOf(one: BodyPolicy | null, other: BodyPolicy | null): BodyPolicy | null {
  if (one === null || other === null) return one ?? other
  return BODY_POLICIES.indexOf(one) > BODY_POLICIES.indexOf(other) ? one : other
}
