// Why one request can't be served, thrown where that is found and told to whoever sent it. Nothing else is affected.

import type { RuntimeErrorCode, RuntimeFailure } from '../protocol.ts'

export class Refusal extends Error {
  override name = 'Refusal'
  readonly failure: RuntimeFailure

  constructor(
    code: RuntimeErrorCode,
    message: string,
    figures?: Omit<RuntimeFailure, 'code' | 'message'>,
    options?: ErrorOptions,
  ) {
    super(message, options)
    this.failure = { code, message, ...figures }
  }
}
