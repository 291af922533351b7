// When an answer began, as far as anybody saw it.

import type { ExchangeRecord } from './exchange-record.ts'

const LOCAL = 'local'

/**
 * Milliseconds since the request arrived; null where there was no token. An upstream that answers whole says nothing of its
 * first token: to take the time of its last one for it would wake somebody for each long answer. Engines of ours tell the
 * first one however the client is answered.
 */
export function firstTokenMsOf({
  streamed,
  upstream,
  timeToFirstTokenMs,
}: ExchangeRecord): number | null {
  return streamed || upstream === LOCAL ? timeToFirstTokenMs : null
}
