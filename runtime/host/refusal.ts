// A request that should not have been sent: the status and the sentence that it is answered with.

import type { RuntimeErrorCode } from '../protocol.ts'

export class Refusal extends Error {
  override name = 'Refusal'
  readonly status: number

  constructor(status: 400 | 401 | 404 | 405 | 413 | 415, message: string, options?: ErrorOptions) {
    super(message, options)
    this.status = status
  }

  get code(): RuntimeErrorCode {
    // To whoever has the wrong token there is no runtime here.
    return this.status === 401 ? 'runtime_unreachable' : 'invalid_request'
  }
}
