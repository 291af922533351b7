// When a guard looks, and how sure it has to be at each look.
//
// Whoever tests the same sample again and again as it grows finds something in the end. So a guard looks only when its
// sample has grown by a fifth since its last look, and the k-th look has α / (k (k + 1)) of the false alarms that the
// guard may raise in a canary's whole life: over all looks there are no more than α of them (Bonferroni's inequality,
// which asks nothing about how the looks depend on each other). Early looks have the most: what is plainly bad ends
// early.
//
// Knows: sizes of samples. Does not know: guards.

/** of all looks of a guard together, in the whole life of a canary */
export const FALSE_ALARMS = 0.01
/** Smaller: a bad version is seen a little sooner, by less; every look costs of what later ones have. */
const GROWTH = 1.2

/** @param lastSize at the look before; 0: there was none @returns the size at which the next look comes */
export function sizeOfNextLook(lastSize: number, firstSize: number): number {
  return lastSize === 0 ? Math.max(1, firstSize) : Math.ceil(lastSize * GROWTH)
}

/** @param look from 1 @returns the p-value up to which it raises an alarm */
export function alphaOf(look: number): number {
  return FALSE_ALARMS / (look * (look + 1))
}
