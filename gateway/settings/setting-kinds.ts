// Kinds of settings: what is allowed for each, and how its text is read.
//
// Knows: texts. Does not know: which settings there are.

export interface Setting<T, Default extends string | null = string | null> {
  /** name of the variable */
  name: string
  /** as it would be written in the environment; null where there is none */
  default: Default
  /** what it is, for docs/settings.md */
  about: string
  /** end of the sentence "allowed is …" */
  allowed: string
  /** never shown */
  isSecret?: boolean
  /** undefined where the text is not allowed */
  read: (text: string) => T | undefined
}

type Described<Default extends string | null> = Omit<Setting<unknown, Default>, 'read' | 'allowed'>

export function text<Default extends string | null>({
  pattern,
  ...setting
}: Described<Default> & { allowed: string; pattern: RegExp }): Setting<string, Default> {
  return { ...setting, read: (given) => (pattern.test(given) ? given : undefined) }
}

export function claim(name: string, byDefault: string, about: string): Setting<string, string> {
  const setting = { name, default: byDefault, about }
  return text({ ...setting, allowed: 'the name of a claim', pattern: /^\S+$/ })
}

/** Short ones can be guessed; anything but visible ASCII can't be sent in a header. */
export function secret(setting: Described<null>): Setting<string, null> {
  return text({
    ...setting,
    isSecret: true,
    allowed: 'at least 16 visible ASCII characters',
    pattern: /^[\x21-\x7e]{16,}$/,
  })
}

export function whole<Default extends string | null>({
  min,
  max,
  ...setting
}: Described<Default> & { min: number; max: number }): Setting<number, Default> {
  return {
    ...setting,
    allowed: `a whole number from ${min} to ${max}`,
    read: (given) => {
      const value = /^\d{1,16}$/.test(given) ? Number(given) : Number.NaN
      return value >= min && value <= max ? value : undefined
    },
  }
}

export function oneOf<Value extends string>({
  values,
  ...setting
}: Described<Value> & { values: readonly Value[] }): Setting<Value, string> {
  return {
    ...setting,
    allowed: `one of ${values.join(', ')}`,
    read: (given) => values.find((value) => value === given),
  }
}

/** As OpenTelemetry writes headers: `name=value,name=value`, values percent-encoded. */
export function readHeaderList(given: string): Record<string, string> | undefined {
  const pairs = given.split(',').map((part) => /^\s*([A-Za-z0-9_-]+)\s*=\s*(\S+)\s*$/.exec(part))
  try {
    return Object.fromEntries(
      pairs.map((pair) => [pair![1]!.toLowerCase(), decodeURIComponent(pair![2]!)]),
    )
  } catch {
    return undefined
  }
}

export function readShare(given: string): number | undefined {
  const share = /^\d(\.\d{1,6})?$/.test(given) ? Number(given) : Number.NaN
  return share >= 0 && share <= 1 ? share : undefined
}

/** Metrics beyond our own names: OpenTelemetry's, vLLM's, and what is left of each caller's limits. */
export type ExtraMetrics = (typeof EXTRA_METRICS)[number]
const EXTRA_METRICS = ['gen_ai', 'vllm', 'limits'] as const

export function readExtraMetrics(given: string): ReadonlySet<ExtraMetrics> | undefined {
  if (given === 'none') return new Set()
  const names = given.split(',').map((part) => part.trim())
  const known = EXTRA_METRICS.filter((name) => names.includes(name))
  return known.length === names.length ? new Set(known) : undefined
}

/** null: none */
export function readDefaultModel(given: string): string | null | undefined {
  if (given === 'none') return null
  return /^[^\0\n]+$/.test(given) ? given : undefined
}

export function readModelNames(given: string): string[] | undefined {
  const names = given
    .split(',')
    .map((name) => name.trim())
    .filter((name) => name !== '')
  return names.every((name) => /^[a-z0-9][a-z0-9._-]*(@[1-9]\d*)?$/.test(name)) ? names : undefined
}

export function readRuntimeUrls(given: string): string[] | undefined {
  const urls = given.split(',').map((part) => readRuntimeUrl(part.trim()))
  return urls.every((url) => url !== undefined) ? urls : undefined
}

export function readRuntimeUrl(given: string): string | undefined {
  return given.startsWith('unix:/') ? given : readHttpUrl(given)
}

export function readHttpUrl(given: string): string | undefined {
  const url = URL.parse(given)
  const isPlain = url?.pathname === '/' && !url.search && !url.hash && !url.username
  return url?.protocol === 'http:' && isPlain ? given : undefined
}

/** A folder, or a bucket that speaks S3. What opens it is in the environment, and never in its address. */
export function readExportUrl(given: string): string | undefined {
  const url = URL.parse(given)
  if (!url || url.search || url.hash || url.username || url.password) return undefined
  if (url.protocol === 'file:') return url.host === '' ? given : undefined
  const isBucket = url.protocol === 's3:' && /^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$/.test(url.host)
  return isBucket ? given : undefined
}
