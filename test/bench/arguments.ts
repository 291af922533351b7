// Values of the benches' options, read from the command line.

/** @throws Error naming the option, what was given and what is allowed */
export function readCount(
  option: string,
  given: string | undefined,
  otherwise: number,
  { from, to }: { from: number; to: number } = { from: 1, to: 9_999 },
): number {
  if (given === undefined) return otherwise
  const count = Number(given)
  if (/^\d{1,15}$/.test(given) && count >= from && count <= to) return count
  throw new Error(`${option} is '${given}'; allowed is a whole number from ${from} to ${to}.`)
}

/** Names with commas between them; all where none are given. @throws Error as above */
export function readNames<Name extends string>(
  option: string,
  given: string | undefined,
  allowed: readonly Name[],
): ReadonlySet<Name> {
  if (given === undefined) return new Set(allowed)
  const names = given.split(',').map((name) => name.trim())
  const known = names.map((name) => allowed.find((one) => one === name))
  const unknown = names.find((_, index) => known[index] === undefined)
  if (unknown !== undefined) {
    throw new Error(`${option} is '${unknown}'; allowed are ${allowed.join(', ')}.`)
  }
  return new Set(known.filter((name) => name !== undefined))
}
