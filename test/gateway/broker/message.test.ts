// What a message of the exchange log is, and which are refused.

import assert from 'node:assert/strict'
import test from 'node:test'

import { packMessages, PoisonMessage, unpackMessage } from '../../../gateway/broker/message.ts'
import { encodeExchange, HEADING } from '../../../gateway/db/exchanges.ts'
import { SystemPrompts } from '../../../gateway/db/system-prompts.ts'
import { encodeFrames } from '../../../gateway/exchange-log/frame.ts'
import { exchangeRecord } from '../../support/exchange-record.ts'

const heading = JSON.stringify(HEADING)
const prompts = new SystemPrompts(Date.now)
const payloads = Array.from({ length: 9 }, (_, i) =>
  Buffer.from(encodeExchange(exchangeRecord({ answer: ['ä'.repeat(100 * i)] }), prompts)),
)

test('a batch becomes messages of bounded size, and they become the batch again', () => {
  const messages = packMessages({ heading, payloads, isSuspect: true }, 1_000)
  assert.ok(messages.length > 3)
  const read = messages.map(unpackMessage)
  assert.deepEqual(
    read.flatMap((message) => message.payloads),
    payloads,
  )
  for (const { payloads, isSuspect, heading: told } of read) {
    const bytes = payloads.reduce((sum, { length }) => sum + length, 0)
    assert.ok(payloads.length === 1 || bytes <= 1_000)
    assert.equal(isSuspect, true)
    assert.equal(told, heading)
  }
})

test('a message that is none of ours, damaged or of another version is refused by name', () => {
  const [good] = packMessages({ heading, payloads, isSuspect: false })
  const damaged = Buffer.from(good!.body)
  damaged[damaged.length - 5]! ^= 1
  const sql = JSON.stringify({ exchanges: ['id', 'x) FROM STDIN; --'], bodies: ['id'] })
  const wrong: [object, RegExp][] = [
    [{ contentType: 'text/plain' }, /content type is 'text\/plain'; allowed is application/],
    [{ headers: { version: 2 } }, /version is 2; this release reads 1/],
    [{ body: damaged }, /damaged/],
    [{ body: good!.body.subarray(0, -1) }, /damaged, or cut off/],
    [{ body: Buffer.alloc(0) }, /damaged/],
    [{ body: 'text' }, /damaged/],
    [{ body: encodeFrames([Buffer.from(sql), payloads[0]!]) }, /no list of columns/],
    [{ body: encodeFrames([Buffer.from('null')]) }, /no list of columns/],
    [{ body: encodeFrames([Buffer.from(heading), Buffer.from('hello')]) }, /the id of an exchange/],
  ]
  for (const [change, reason] of wrong) {
    assert.throws(
      () => unpackMessage({ ...good!, ...change }),
      (error) => error instanceof PoisonMessage && reason.test(error.message),
    )
  }
})
