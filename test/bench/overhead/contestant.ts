// Somebody who takes requests and hands them to the mock upstream, in a process of their own.

export interface Contestant extends AsyncDisposable {
  name: string
  /** of chat completions */
  url: string
  headers: Record<string, string>
  /** null where there is no process: the mock itself */
  pid: number | null
  /** what is told of it below the tables, once all is measured */
  remarks?(): Promise<string[]>
}

export interface StartOptions {
  /** of the mock upstream, without a path */
  upstream: string
  signal: AbortSignal
}

export const CHAT_PATH = '/v1/chat/completions'
