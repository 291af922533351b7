// Shows how far long work is: a bar to a person, a line now and then to a log, JSON lines to a parent process.
//
// Knows: terminals and lines. Does not know: what the work is.

type Phase = 'resolve' | 'download' | 'unpack' | 'verify' | 'convert'

export interface Progress {
  phase: Phase
  /** what is being worked on: a file, a model */
  item: string
  /** 0…1 of this phase; null where nobody knows */
  fraction: number | null
  /** where the work is counted in bytes */
  bytes?: number
}

/** What `--progress json` prints, one a line, until `done` or `error`. */
export type ProgressLine =
  | ({ type: 'progress' } & Progress)
  /** something that whoever waits should know: a source that was given up, a model that stands in */
  | { type: 'note'; text: string }
  | { type: 'done'; version: string; folder: string; how: 'present' | 'imported' | 'substituted' }
  | { type: 'error'; message: string }

export const PROGRESS_MODES = ['bar', 'plain', 'json'] as const
export type ProgressMode = (typeof PROGRESS_MODES)[number]

export interface Reporter {
  progress(progress: Progress): void
  note(text: string): void
  done(line: Extract<ProgressLine, { type: 'done' }>, text: string): void
  fail(message: string): void
}

/** A stream that text is written to, perhaps a terminal. */
export interface Output {
  write(text: string): unknown
  isTTY?: boolean
  columns?: number
}

const WORDS: Record<Phase, string> = {
  resolve: 'Asking for',
  download: 'Downloading',
  unpack: 'Unpacking',
  verify: 'Checking',
  convert: 'Converting',
}

// Often enough to look alive, seldom enough to cost nothing.
const BAR_EVERY_MS = 100
const JSON_EVERY_MS = 200
// A log wants to be read: one line a phase and item, and one in a while where that takes long.
const PLAIN_EVERY_MS = 10_000
const BAR_CELLS = 24
const CLEAR_LINE = '\r\u001B[2K'

/** @param mode null: a bar where stderr is a terminal, plain lines where it isn't */
export function createReporter(
  mode: ProgressMode | null,
  streams: { stdout: Output; stderr: Output },
  now: () => number = () => performance.now(),
): Reporter {
  switch (mode ?? (streams.stderr.isTTY ? 'bar' : 'plain')) {
    case 'json':
      return jsonReporter(streams.stdout, now)
    case 'bar':
      return barReporter(streams, now)
    case 'plain':
      return plainReporter(streams, now)
  }
}

function jsonReporter(stdout: Output, now: () => number): Reporter {
  const print = (line: ProgressLine) => stdout.write(`${JSON.stringify(line)}\n`)
  const isDue = pace(JSON_EVERY_MS, now)
  return {
    progress(progress) {
      if (isDue(progress)) print({ type: 'progress', ...progress })
    },
    note: (text) => print({ type: 'note', text }),
    done: (line) => print(line),
    fail: (message) => print({ type: 'error', message }),
  }
}

function plainReporter({ stdout, stderr }: { stdout: Output; stderr: Output }, now: () => number) {
  const isDue = pace(PLAIN_EVERY_MS, now)
  return {
    progress(progress: Progress) {
      if (isDue(progress)) stderr.write(`${describe(progress)}\n`)
    },
    note: (text: string) => stderr.write(`${text}\n`),
    done: (_line: ProgressLine, text: string) => stdout.write(`${text}\n`),
    fail: (message: string) => stderr.write(`headrace: ${message}\n`),
  }
}

function barReporter({ stdout, stderr }: { stdout: Output; stderr: Output }, now: () => number) {
  const isDue = pace(BAR_EVERY_MS, now)
  let isShown = false
  const clear = () => {
    if (isShown) stderr.write(CLEAR_LINE)
    isShown = false
  }
  return {
    progress(progress: Progress) {
      if (!isDue(progress)) return
      const cells = Math.round((progress.fraction ?? 0) * BAR_CELLS)
      const bar =
        progress.fraction === null ? '' : `${'█'.repeat(cells)}${'░'.repeat(BAR_CELLS - cells)} `
      const line = bar + describe(progress)
      // A line that wraps can't be taken back.
      stderr.write(CLEAR_LINE + line.slice(0, (stderr.columns ?? 80) - 1))
      isShown = true
    },
    note(text: string) {
      clear()
      stderr.write(`${text}\n`)
    },
    done(_line: ProgressLine, text: string) {
      clear()
      stdout.write(`${text}\n`)
    },
    fail(message: string) {
      clear()
      stderr.write(`headrace: ${message}\n`)
    },
  }
}

/** Lets the first and the last of a phase and item through, and between them one in each interval. */
function pace(everyMs: number, now: () => number): (progress: Progress) => boolean {
  let about = ''
  let last = -Infinity
  return ({ phase, item, fraction }) => {
    const isNew = about !== phase + item
    const isLast = fraction === 1 && everyMs < PLAIN_EVERY_MS
    if (!isNew && !isLast && now() - last < everyMs) return false
    about = phase + item
    last = now()
    return true
  }
}

function describe({ phase, item, fraction, bytes }: Progress): string {
  const percent = fraction === null ? '' : `  ${Math.floor(fraction * 100)} %`
  const size = bytes === undefined || bytes === 0 ? '' : `  ${(bytes / 1e6).toFixed(1)} MB`
  return `${WORDS[phase]} ${item}${percent}${size}`
}
