import assert from 'node:assert/strict'
import test from 'node:test'

import { GatewayError } from '../../../gateway/errors.ts'
import { Admission } from '../../../gateway/limits/admission.ts'

test('one request more than the gateway takes is refused at once, until one has ended', () => {
  const admission = new Admission(2)
  const leave = admission.enter()
  admission.enter()
  assert.throws(
    () => admission.enter(),
    (error: unknown) => {
      assert.ok(error instanceof GatewayError)
      const { status, retryAfterSeconds } = error.kind
      assert.deepEqual([error.code, status, retryAfterSeconds], ['overloaded', 503, 1])
      return true
    },
  )
  leave()
  leave()
  assert.equal(admission.inHand, 1)
  admission.enter()
  assert.throws(() => admission.enter())
  assert.equal(admission.refused, 2)
})
