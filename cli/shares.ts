// Shares on the command line: `5%`, or `0.05` as the admin API has it.
//
// The API counts to 1 and people to 100, so that a number without sign or point could be either: `1` is one of a hundred to one
// and everything to the other. It is refused.

import { InvalidArgumentError } from 'commander'

/** @returns in [0, 1] */
export function readShare(text: string): number {
  const [, digits = '', sign] = /^(\d+|\d*\.\d+) ?(%)?$/.exec(text) ?? []
  const number = digits === '' ? Number.NaN : Number(digits)
  const share = sign ? number / 100 : number
  const isClear = sign !== undefined || digits.includes('.') || number === 0
  if (isClear && share >= 0 && share <= 1) return share
  if (!isClear && number <= 100) {
    const fraction = Number((number / 100).toPrecision(12))
    throw new InvalidArgumentError(
      `${text} of what? Write ${text}%, or ${fraction.toFixed(Math.max(1, decimalsOf(fraction)))} of 1.`,
    )
  }
  throw new InvalidArgumentError(
    'Allowed is a percentage with its sign, up to 100%, or a fraction of 1, such as 0.05.',
  )
}

const decimalsOf = (fraction: number) => String(fraction).split('.')[1]?.length ?? 0

/** Several, apart by commas. The last may be `1`: that is everything, as shares grow. */
export function readShares(text: string): number[] {
  const parts = text.split(',').map((part) => part.trim())
  return parts.map((part, index) =>
    part === '1' && index === parts.length - 1 ? 1 : readShare(part),
  )
}

export const percent = (share: number) => `${Number((share * 100).toFixed(2))}%`
