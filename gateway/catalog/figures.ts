// Figures as people read them; a sign of percent never begins a line.

export function large(count: number): string {
  const units = [
    [1e12, 'T'],
    [1e9, 'B'],
    [1e6, 'M'],
    [1e3, 'k'],
  ] as const
  const [size, unit] = units.find(([size]) => count >= size) ?? [1, '']
  return `${short(count / size)}${unit && ` ${unit}`}`
}

export function bytes(count: number): string {
  const units = ['bytes', 'KB', 'MB', 'GB', 'TB']
  const step = count < 1 ? 0 : Math.min(units.length - 1, Math.floor(Math.log10(count) / 3))
  return `${short(count / 1000 ** step)} ${units[step]}`
}

export function milliseconds(ms: number): string {
  return ms < 1000 ? `${short(ms)} ms` : `${short(ms / 1000)} s`
}

export const percent = (share: number) => `${short(share * 100)}\u00a0%`

export const dollars = (usd: number) =>
  `$${usd !== 0 && Math.abs(usd) < 0.01 ? short(usd) : usd.toFixed(2)}`

/** A price is told as it is, with two digits behind the point at least. */
export const price = (usd: number) =>
  `$${usd.toLocaleString('en-US', { minimumFractionDigits: 2, maximumFractionDigits: 12 })}`

/** Three digits that count, four of what is written without a point. */
export function short(value: number): string {
  if (Number.isInteger(value) || Math.abs(value) >= 1000) return whole(Math.round(value))
  return String(Number(value.toPrecision(3)))
}

export const whole = (value: number) => value.toLocaleString('en-US')

export const day = (time: Date) => time.toISOString().slice(0, 10)

export const minute = (time: Date) => `${time.toISOString().slice(0, 16).replace('T', ' ')} UTC`
