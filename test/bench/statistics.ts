// The few statistics that tables are made of.

/** @param share 0…1; the value that this share of the values does not exceed */
export function quantile(values: readonly number[], share: number): number {
  if (values.length === 0) throw new Error('a quantile of no values. This is a bug.')
  const sorted = values.toSorted((a, b) => a - b)
  const position = (sorted.length - 1) * share
  const below = Math.floor(position)
  const low = sorted[below]!
  const high = sorted[below + 1] ?? low
  return low + (high - low) * (position - below)
}

export const median = (values: readonly number[]): number => quantile(values, 0.5)

export const sum = (values: readonly number[]): number =>
  values.reduce((total, value) => total + value, 0)
