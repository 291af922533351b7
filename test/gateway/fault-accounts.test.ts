// What is written down of the whole fault table, and what is charged for it: each fault once, with its tokens and its
// cost to the last digit, and nothing in the sums that is not in the rows, the hours and the caller's budget alike.

import assert from 'node:assert/strict'
import { test } from 'node:test'

import { hashKey, findCallerByKeyHash } from '../../gateway/db/api-keys.ts'
import { sumSpend } from '../../gateway/db/spend.ts'
import { claimsOf } from '../../gateway/limits/claim.ts'
import { Limits } from '../../gateway/limits/limits.ts'
import { MemoryCounters } from '../../gateway/limits/memory-counters.ts'
import { rowsOf } from '../support/admin.ts'
import { openDeclaration } from '../support/declared-gateway.ts'
import { CELLS, falls, startFaults, WIRES } from '../support/fault-cells.ts'
import { outcomeOf } from '../support/faults.ts'
import { need } from '../support/limits.ts'
import { startLogged } from '../support/logged-gateway.ts'
import { recordLog } from '../support/logger.ts'
import { usePostgres } from '../support/postgres.ts'
import type { BudgetClaim } from '../../gateway/limits/claim.ts'
import type { Cell } from '../support/fault-cells.ts'

const postgres = usePostgres()

/** Thousandths of a billionth of a dollar for a token: costs end in halves of the last digit. */
const PICO = {
  near: { input: 500, cachedInput: 125, output: 150_500 },
  far: { input: 2_500_000, cachedInput: 37_500, output: 10_000_300 },
}
const perMillion = ({ input, cachedInput, output }: (typeof PICO)['near']) => ({
  input: input / 1e6,
  cached_input: cachedInput / 1e6,
  output: output / 1e6,
})

interface Tokens {
  prompt: number
  cached: number
  completion: number | null
  isEstimated: boolean
}
type Api = (typeof WIRES)[number][0]

/** as the fallback says */
const INSTEAD: Tokens = { prompt: 9, cached: 5, completion: 4, isEstimated: false }
/** a role, its separators and a word */
const PROMPT_ESTIMATE = 5

/** null: nothing was taken up */
function tokensOf(api: Api, cell: Cell): Tokens | null {
  if (falls(cell)) return INSTEAD
  const prompt = promptOf(api)
  if ('text' in cell.fate) {
    // Nobody told what was said until then.
    const completion = Math.ceil(cell.fate.text.length / 4)
    return { ...prompt, completion, isEstimated: true }
  }
  // Told before the first word by who speaks as Anthropic: that prompt was taken up, and nothing came of it.
  const hasOpened = ['headers and no delta', 'a cut before', 'an error with'].some((fault) =>
    cell.name.startsWith(fault),
  )
  const isTold = api === 'anthropic' && cell.isStreamed && hasOpened
  return isTold ? { ...prompt, completion: null, isEstimated: false } : null
}

function promptOf(api: Api): { prompt: number; cached: number } {
  if (api === 'anthropic') return { prompt: 60, cached: 30 }
  return { prompt: PROMPT_ESTIMATE, cached: 0 }
}

/** In whole numbers throughout: billionths of a dollar. */
function nanoDollars(tokens: Tokens, price: (typeof PICO)['near']): number {
  const { prompt, cached, completion } = tokens
  const pico =
    (prompt - cached) * price.input + cached * price.cachedInput + (completion ?? 0) * price.output
  return Math.floor((pico + 500) / 1000)
}

const usd = (nano: number) => `${Math.floor(nano / 1e9)}.${String(nano % 1e9).padStart(9, '0')}`

interface Row {
  id: string
  outcome: string
  error: string | null
  prompt: number | null
  cached: number | null
  completion: number | null
  isEstimated: boolean
  usd: string | null
}

const ROWS = `
  SELECT id, outcome, error_code AS error, prompt_tokens AS prompt, cached_tokens AS cached,
    completion_tokens AS completion, is_usage_estimated AS "isEstimated", cost_usd::text AS usd
  FROM exchanges WHERE caller_id = $1`

/** What everything before it has taken, of a budget or of tokens in a minute. */
const LIMITS = {
  monthly_usd: 1_000,
  monthly_tokens: 1e9,
  tokens_per_minute: 1e9,
  concurrent_requests: 100,
}
/** at once; more of them would make each other late */
const AT_ONCE = 4

for (const [api, wire] of WIRES) {
  test(`each fault of an upstream that speaks as ${api} is charged for what was taken, once`, async (t) => {
    const prices = { near: perMillion(PICO.near), far: perMillion(PICO.far) }
    const { declaration } = await startFaults(t, api, wire, prices)
    const { logger } = recordLog()
    const now = () => performance.timeOrigin + performance.now()
    const counters = new MemoryCounters({ now, readSpent: () => Promise.resolve(null) })
    const limits = new Limits({ counters, logger, now })
    t.after(() => limits.close())
    const deps = { ...(await openDeclaration(t, declaration)), limits }
    const gateway = await startLogged(t, postgres, { deps })
    const { ask, makeKey, chat, pool } = gateway
    const { body: project } = await ask('POST', '/admin/projects', {
      name: 'bills',
      limits: { monthly_usd: 5_000 },
    })
    const { key, id: callerId } = await makeKey({
      name: 'payer',
      project: project['id'],
      limits: LIMITS,
      cache_seconds: 600,
    })

    const idOf = new Map<Cell, string>()
    const cells = [...CELLS]
    const work = async () => {
      for (let cell = cells.pop(); cell; cell = cells.pop()) {
        const { model, isStreamed: stream } = cell
        idOf.set(cell, await chat(key, { model, stream }).catch(() => assert.fail(cell.name)))
      }
    }
    await Promise.all(Array.from({ length: AT_ONCE }, work))
    // What is given again is asked for, and takes nothing.
    const kept = CELLS.find((cell) => falls(cell) && !cell.isStreamed)
    const again = await chat(key, { model: kept?.model })
    await gateway.exchangeLog.flush()

    const { rows } = await pool.query<Row>(ROWS, [callerId])
    assert.equal(rows.length, CELLS.length + 1)
    const rowOf = new Map(rows.map((row) => [row.id, row]))
    const sum = { tokens: 0, nano: 0 }
    for (const cell of CELLS) {
      const { id = '', ...row } = rowOf.get(idOf.get(cell) ?? '') ?? {}
      assert(id, cell.name)
      const tokens = tokensOf(api, cell)
      const nano = tokens && nanoDollars(tokens, falls(cell) ? PICO.far : PICO.near)
      const expected = {
        outcome: falls(cell) ? 'completed' : outcomeOf(cell.fate),
        error: falls(cell) ? null : cell.fate.code,
        prompt: tokens?.prompt ?? null,
        cached: tokens?.cached ?? null,
        completion: tokens?.completion ?? null,
        isEstimated: tokens?.isEstimated ?? false,
        usd: nano === null ? null : usd(nano),
      }
      assert.deepEqual(row, expected, cell.name)
      sum.tokens += (tokens?.prompt ?? 0) + (tokens?.completion ?? 0)
      sum.nano += nano ?? 0
    }
    const hit = rowOf.get(again)
    assert.deepEqual([hit?.prompt, hit?.usd], [INSTEAD.prompt, usd(0)])

    const caller = await findCallerByKeyHash(pool, hashKey(key))
    assert(caller)
    const claims = claimsOf(caller, need(), now())
    const used = counters.standingsOf(claims).map(({ used }) => used)
    assert.deepEqual(
      Object.fromEntries(
        claims.map(({ owner, limitName }, at) => [`${owner} ${limitName}`, used[at]]),
      ),
      {
        'key monthlyUsd': sum.nano,
        'key monthlyTokens': sum.tokens,
        'key tokensPerMinute': sum.tokens,
        'key concurrentRequests': 0,
        'project monthlyUsd': sum.nano,
      },
    )
    const budgets = claims.filter((claim): claim is BudgetClaim => claim.kind === 'budget')
    const spent = await sumSpend(
      pool,
      budgets.map(({ owner, ownerId: id, fromMs, toMs }) => ({
        owner,
        id,
        from: new Date(fromMs),
        to: new Date(toMs),
      })),
    )
    for (const { tokens, usd: dollars } of spent) {
      assert.deepEqual([tokens, Math.round(dollars * 1e9)], [sum.tokens, sum.nano])
    }
    const [told] = rowsOf(await ask('GET', '/admin/analytics?group=caller&caller=payer'))
    assert(told)
    assert.deepEqual(
      [told['requests'], Number(told['prompt_tokens']) + Number(told['completion_tokens'])],
      [rows.length, sum.tokens],
    )
    assert.equal(Number(told['cost_usd']).toFixed(9), usd(sum.nano))
  })
}
