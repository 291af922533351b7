// Everything that can go wrong with an upstream, at every point of an exchange: what the client sees, what the row
// says, who was asked. Each fault is met streamed and whole, with somebody to fall back on and without.
//
// The answer that a target owes is "Hello", the fallback's is "Instead". Whatever the fault, one thing holds: what looks
// like success is one of the two, whole.

import assert from 'node:assert/strict'
import { test } from 'node:test'

import OpenAI from 'openai'

import { startDeclaredGateway } from '../support/declared-gateway.ts'
import { CELLS, falls, startFaults, WIRES } from '../support/fault-cells.ts'
import { COMPATIBLE } from '../support/fault-wire.ts'
import { outcomeOf } from '../support/faults.ts'
import { KEY } from '../support/gateway.ts'
import type { Cell } from '../support/fault-cells.ts'
import type { FaultWire } from '../support/fault-wire.ts'
import type { ScriptedUpstream } from '../support/scripted-upstream.ts'

/** Asks as the official client does, and keeps the bytes that it got. */
async function ask(url: string, { model, isStreamed }: Cell) {
  let response = new Response()
  let bytes = ''
  const client = new OpenAI({
    baseURL: `${url}/v1`,
    apiKey: KEY,
    maxRetries: 0,
    fetch: async (...args) => {
      response = await fetch(...args)
      bytes = await response.text()
      return new Response(bytes, response)
    },
  })
  const body = { model, messages: [{ role: 'user' as const, content: 'Hi' }] }
  let text = ''
  let error: unknown = null
  try {
    if (isStreamed) {
      for await (const chunk of await client.chat.completions.create({ ...body, stream: true })) {
        text += chunk.choices[0]?.delta.content ?? ''
      }
    } else {
      text = (await client.chat.completions.create(body)).choices[0]?.message.content ?? ''
    }
  } catch (thrown) {
    error = thrown
  }
  return { response, text, error, bytes }
}

for (const [api, wire] of WIRES) {
  test(`no fault of an upstream that speaks as ${api} looks like success`, async (t) => {
    const { near, far, declaration } = await startFaults(t, api, wire)
    const gateway = await startDeclaredGateway(t, declaration)
    for (const cell of CELLS) {
      await t.test(cell.name, async () => {
        const { response, text, error, bytes } = await ask(gateway.url, cell)
        const id = response.headers.get('x-request-id')
        const isRow = ({ id: of }: { id: string }) => of === id
        while (!gateway.log.records.some(isRow)) await new Promise((wake) => setTimeout(wake, 2))
        const row = gateway.log.records.find(isRow)
        assert(row)
        const asked = (upstream: ScriptedUpstream, { modelOf }: FaultWire) =>
          upstream.requests.filter((request) => modelOf(request) === cell.model).length

        const looksLikeSuccess =
          response.status === 200 && (!cell.isStreamed || bytes.includes('data: [DONE]'))
        assert.equal(looksLikeSuccess, error === null, `the client: ${String(error)}; ${bytes}`)
        assert.equal(row.outcome === 'completed', looksLikeSuccess)
        if (looksLikeSuccess) assert.equal(text, 'Instead')

        const { fate, fault } = cell
        const isBroken = 'text' in fate
        const isFallbacks = falls(cell)
        assert.deepEqual(
          { near: asked(near, wire), far: asked(far, COMPATIBLE) },
          { near: fault.isAway ? 0 : 1, far: isFallbacks ? 1 : 0 },
        )
        assert.deepEqual(
          row.attempts.map(({ upstream, error }) => [upstream, error]),
          [
            [fault.isAway ? 'away' : 'near', isBroken ? null : fate.code],
            ...(isFallbacks ? [['far', null]] : []),
          ],
        )
        if (isFallbacks) {
          assert.equal(response.headers.get('x-headrace-attempts'), '2')
          assert.deepEqual(
            [row.upstream, row.errorCode, row.isUsageEstimated],
            ['far', null, false],
          )
          assert.deepEqual(row.answer, ['Instead'])
          return
        }
        assert.equal((error as { code?: string }).code, fate.code)
        assert.deepEqual([row.outcome, row.errorCode], [outcomeOf(fate), fate.code])
        assert.equal(response.status, isBroken ? 200 : fate.status)
        assert.equal(row.status, response.status)
        if (!isBroken) {
          assert.equal(response.headers.get('retry-after'), fault.retryAfter ?? null)
          assert.deepEqual([row.answer, row.completionTokens], [null, null])
          return
        }
        assert.equal(text, fate.text)
        assert.deepEqual(row.answer, [fate.text])
        assert((row.completionTokens ?? 0) > 0, 'what was told was counted')
      })
    }
  })
}
