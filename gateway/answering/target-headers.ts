// The headers that say who answered, or was asked last.
//
// Names of models are the operator's and their upstream's: they may be in any script, and headers take bytes of Latin-1.

export interface Asked {
  version: string
  upstream: string
  /** id of the deployment that led there */
  deployment?: number | null
}

/** @param attempts how many targets were asked, this one included */
export function targetHeaders({ version, upstream, deployment }: Asked, attempts: number) {
  return {
    ...(typeof deployment === 'number' && { 'x-headrace-deployment': deployment }),
    'x-headrace-version': headerText(version),
    'x-headrace-target': headerText(upstream),
    'x-headrace-attempts': attempts,
  }
}

/** Printable ASCII as it is; what a header can't hold is written as in an address, percent-encoded UTF-8. */
export function headerText(text: string): string {
  return text.toWellFormed().replace(/[^\x20-\x7e]/gu, encodeURIComponent)
}
