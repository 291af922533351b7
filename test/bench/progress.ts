// Says on stderr what is being done, with the time since the start.

export type Progress = (what: string) => void

export function startProgress(stderr: { write(text: string): unknown }): Progress {
  const startMs = performance.now()
  return (what) => {
    const seconds = ((performance.now() - startMs) / 1000).toFixed(0)
    stderr.write(`[${seconds.padStart(4)} s] ${what}\n`)
  }
}
