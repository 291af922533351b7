// Figures as Grafana writes them, near enough for a look.

const SUFFIXES: [number, string][] = [
  [1e12, 'T'],
  [1e9, 'G'],
  [1e6, 'M'],
  [1e3, 'K'],
]

export function written(value: number, unit: string): string {
  if (!Number.isFinite(value)) return '–'
  switch (unit) {
    case 'percentunit':
      return `${short(value * 100)} %`
    case 'percent':
      return `${short(value)} %`
    case 's':
      return seconds(value)
    case 'currencyUSD':
      return `$${short(value)}`
    case 'bytes':
      return `${short(value)}B`
    case 'decmbytes':
      return `${short(value * 1e6)}B`
    case 'reqps':
      return `${short(value)} req/s`
    case 'ops':
      return `${short(value)} ops/s`
    case 'watt':
      return `${short(value)} W`
    default:
      return short(value)
  }
}

function seconds(value: number): string {
  const size = Math.abs(value)
  if (size >= 60) return `${short(value / 60)} min`
  if (size >= 1 || size === 0) return `${short(value)} s`
  return size >= 0.001 ? `${short(value * 1e3)} ms` : `${short(value * 1e6)} µs`
}

function short(value: number): string {
  const [least, suffix] = SUFFIXES.find(([least]) => Math.abs(value) >= least) ?? [1, '']
  const scaled = value / least
  const size = Math.abs(scaled)
  const digits = size >= 100 || Number.isInteger(scaled) ? 0 : size >= 10 ? 1 : size >= 0.1 ? 2 : 3
  return scaled.toFixed(digits) + suffix
}
