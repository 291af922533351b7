// What is kept of texts, from the request to every place where something is kept: tables, the spool, log lines.

import assert from 'node:assert/strict'
import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import test from 'node:test'
import type { TestContext } from 'node:test'

import { pino } from 'pino'

import { OpenAIUpstream } from '../../../gateway/backends/upstream/openai.ts'
import { loggedError } from '../../../gateway/logger.ts'
import { KeptResponses } from '../../../gateway/responses/kept-responses.ts'
import { startAdmin } from '../../support/admin.ts'
import { openExchangeLog } from '../../support/exchange-log.ts'
import { ADMIN_KEY, privacyOf } from '../../support/gateway.ts'
import { recordLog } from '../../support/logger.ts'
import { answerChat, chatBody, chunk, USAGE } from '../../support/openai-wire.ts'
import { usePostgres } from '../../support/postgres.ts'
import { ScriptedUpstream } from '../../support/scripted-upstream.ts'
import { FAR_MODEL, routeTo, targetOf } from '../../support/upstream-gateway.ts'
import type { BodyPolicy } from '../../../gateway/callers/body-policy.ts'
import type { Pool } from '../../../gateway/db/pool.ts'

const postgres = usePostgres()

const EMAIL = 'jane.planted@example.com'
const CARD = '4111 1111 1111 1111'
const SECRET = 'sk-planted0123456789abcdefghij'
const PLANTED = `Write to ${EMAIL}, charge ${CARD}, use ${SECRET}.`
/** of each, a part that nothing else has */
const TRACES = /jane\.planted|4111[ -]?1111|planted0123/

async function start(t: TestContext, byDefault: BodyPolicy) {
  const pool = await postgres.pool(t)
  const { log, folder } = await openExchangeLog(t, pool)
  const upstream = await ScriptedUpstream.start(t)
  const backend = new OpenAIUpstream({ baseUrl: `${upstream.url}/v1`, apiKey: 'key-of-upstream' })
  t.after(() => backend.close())
  const lines: string[] = []
  const logger = pino(
    { level: 'trace', serializers: { err: loggedError } },
    { write: (line: string) => void lines.push(line) },
  )
  const responses = new KeptResponses({ db: pool, ttlMs: 60_000, logger: recordLog().logger })
  const gateway = await startAdmin(t, pool, {
    deps: {
      exchangeLog: log,
      privacy: privacyOf(byDefault),
      responses,
      logger,
      routes: {
        find: (name) => Promise.resolve(name === FAR_MODEL ? routeTo([targetOf(backend)]) : null),
        list: () => Promise.resolve([]),
      },
    },
  })
  const spooled = async () => {
    const files = await readdir(folder, { recursive: true, withFileTypes: true })
    const paths = files
      .filter((file) => file.isFile())
      .map((file) => join(file.parentPath, file.name))
    return (await Promise.all(paths.map((path) => readFile(path, 'latin1')))).join('\n')
  }
  const send = async (path: string, body: unknown, key = ADMIN_KEY) => {
    const response = await fetch(gateway.url + path, {
      method: 'POST',
      headers: { authorization: `Bearer ${key}`, 'content-type': 'application/json' },
      body: typeof body === 'string' ? body : JSON.stringify(body),
    })
    return { status: response.status, text: await response.text() }
  }
  return { ...gateway, log, upstream, lines, spooled, send }
}

/** Everything that is in the database, as a dump would have it. */
async function dump(pool: Pool): Promise<string> {
  const { rows: tables } = await pool.query<{ name: string }>(
    `SELECT table_name AS name FROM information_schema.tables
     WHERE table_schema = current_schema() AND table_type = 'BASE TABLE'`,
  )
  const texts: string[] = []
  for (const { name } of tables) {
    const { rows } = await pool.query<{ row: string }>(`SELECT t::text AS row FROM "${name}" t`)
    texts.push(...rows.map(({ row }) => `${name}: ${row}`))
  }
  return texts.join('\n')
}

const toolCall = (argumentsText: string) => ({
  id: 'call_1',
  type: 'function',
  function: { name: 'mail', arguments: argumentsText },
})

const ASKED = {
  model: FAR_MODEL,
  user: EMAIL,
  metadata: { contact: EMAIL, plan: 'gold' },
  tools: [
    {
      type: 'function',
      function: { name: 'mail', description: PLANTED, parameters: { type: 'object' } },
    },
  ],
  messages: [
    { role: 'system', content: PLANTED },
    { role: 'user', content: [{ type: 'text', text: PLANTED }] },
    {
      role: 'assistant',
      content: null,
      tool_calls: [
        toolCall(JSON.stringify({ to: EMAIL, card: 4111111111111111, n: `a\n${CARD}` })),
      ],
    },
    { role: 'tool', tool_call_id: 'call_1', content: JSON.stringify({ said: PLANTED }) },
  ],
}

/** The traffic of a bad day: answered whole and streamed, with tools, refused, failed and cut. */
async function ask({ upstream, send }: Awaited<ReturnType<typeof start>>, key?: string) {
  const outcomes: number[] = []
  const asked = async (path: string, body: unknown) => {
    outcomes.push((await send(path, body, key)).status)
  }
  const args = JSON.stringify({ to: EMAIL, note: PLANTED })
  upstream.next.push((x) =>
    x.json(200, chatBody({ content: PLANTED, tool_calls: [toolCall(args)] })),
  )
  await asked('/v1/chat/completions', ASKED)
  // Split where no piece has enough to be known by.
  upstream.next.push(answerChat(PLANTED.match(/.{1,3}/g)!))
  await asked('/v1/chat/completions', { ...ASKED, stream: true })
  for (const status of [400, 500]) {
    upstream.next.push((x) => x.json(status, { error: { message: `Bad: ${PLANTED.repeat(20)}` } }))
    await asked('/v1/chat/completions', ASKED)
  }
  upstream.next.push((x) => x.send(200, `{"broken": "${PLANTED}`))
  await asked('/v1/chat/completions', ASKED)
  upstream.next.push((x) =>
    x.stream([chunk({ content: PLANTED }), { error: { message: PLANTED } }]).then(() => x.end()),
  )
  await asked('/v1/chat/completions', { ...ASKED, stream: true })
  await asked('/v1/chat/completions', { ...ASKED, temperature: PLANTED })
  await asked('/v1/chat/completions', { ...ASKED, model: `no-${EMAIL}` })
  await asked('/v1/chat/completions', `{"model":"${FAR_MODEL}","messages":"${EMAIL}`)
  upstream.next.push((x) => x.json(200, chatBody({ content: PLANTED })))
  await asked('/v1/responses', { model: FAR_MODEL, input: PLANTED, store: true })
  return outcomes
}

for (const policy of ['redacted', 'none'] as const) {
  test(`with bodies ${policy}, nothing planted is in a table, the spool or a log line`, async (t) => {
    const started = await start(t, policy)
    const outcomes = await ask(started)
    assert.deepEqual(outcomes, [200, 200, 400, 502, 502, 200, 400, 404, 400, 200])
    assert.doesNotMatch(await started.spooled(), TRACES)
    await started.log.flush()
    const tables = await dump(started.pool)
    assert.doesNotMatch(tables, TRACES)
    assert.doesNotMatch(started.lines.join('\n'), TRACES)
    assert(started.lines.length > 0)
    const { rows } = await started.pool.query<{ prompt_tokens: number; metadata: object }>(
      'SELECT prompt_tokens, metadata FROM exchanges ORDER BY id',
    )
    assert.equal(rows.length, 10)
    assert.equal(rows[0]?.prompt_tokens, USAGE.prompt_tokens)
    assert.deepEqual(rows[0]?.metadata, { contact: '[EMAIL_1]', plan: 'gold' })
    const { rows: responses } = await started.pool.query('SELECT id FROM responses')
    assert.deepEqual(responses, [])
    if (policy === 'none') {
      const { rows: bodies } = await started.pool.query('SELECT id FROM exchange_bodies')
      assert.deepEqual(bodies, [])
    } else {
      assert.match(tables, /Write to \[EMAIL_1\], charge \[CARD_1\], use \[SECRET_1\]\./)
    }
  })
}

test('with whole bodies, the same traffic leaves what it said', async (t) => {
  const started = await start(t, 'whole')
  await ask(started)
  await started.log.flush()
  assert.match(await dump(started.pool), TRACES)
  const { rows: responses } = await started.pool.query('SELECT id FROM responses')
  assert.equal(responses.length, 1)
  assert.doesNotMatch(started.lines.join('\n'), TRACES)
})
