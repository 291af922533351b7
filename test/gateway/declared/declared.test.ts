// A gateway whose models are declared in a file: over the library, over upstreams, and changed while it runs.

import assert from 'node:assert/strict'
import { rename, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import type { TestContext } from 'node:test'

import { LocalBackend } from '../../../gateway/backends/local.ts'
import { createPool } from '../../../gateway/db/pool.ts'
import { openDeclared } from '../../../gateway/declared/open.ts'
import { Keyring } from '../../../gateway/secrets.ts'
import { makeFolder } from '../../support/folder.ts'
import { CHAT, startGateway } from '../../support/gateway.ts'
import { libraryRoutes } from '../../support/library-routes.ts'
import { recordLog } from '../../support/logger.ts'
import { answerChat } from '../../support/openai-wire.ts'
import { ScriptedRuntime, WORDS } from '../../support/scripted-runtime.ts'
import { refuseWith, ScriptedUpstream } from '../../support/scripted-upstream.ts'
import { until } from '../../support/until.ts'

const SECRET = 'sk-planted-secret'
const VERSIONS = [{ id: 'guide@2', created: '2026-01-01T00:00:00.000Z' }]

function declarationOf(url: string, targets: string, more = '') {
  return `
upstreams:
  near: { api: compatible, base_url: "${url}/v1", key: "\${KEY}" }
models:
  chat:
    targets: ${targets}
${more}
`
}

async function start(t: TestContext, targets: string, more = '') {
  const upstream = await ScriptedUpstream.start(t)
  const file = join(await makeFolder(t), 'headrace.yaml')
  await writeFile(file, declarationOf(upstream.url, targets, more))
  const { logger, messages } = recordLog()
  const runtime = new ScriptedRuntime(['guide@2'])
  const local = new LocalBackend({ runtime, loadWaitMs: 100 })
  const library = libraryRoutes(VERSIONS, local)
  const declared = await openDeclared({
    ...withoutTables(t),
    file,
    env: { KEY: SECRET },
    library,
    logger,
  })
  t.after(() => declared.close())
  const gateway = await startGateway(t, { deps: { routes: declared.routes } })
  /** as an editor does it: another file in the place of the first */
  const save = async (text: string) => {
    await writeFile(`${file}.new`, text)
    await rename(`${file}.new`, file)
  }
  return { ...gateway, upstream, declared, save, messages }
}

/** The file has to do where PostgreSQL is away: nobody listens on this port. */
function withoutTables(t: TestContext) {
  const pool = createPool({ host: '127.0.0.1', port: 1 }, recordLog().logger)
  t.after(() => pool.end())
  return { pool, keyring: new Keyring([]) }
}

const NEAR = '[{ upstream: near, model: llama-3 }]'

test('a declared model is answered by its upstream, which gets its own key and the model’s own name', async (t) => {
  const { client, upstream, log } = await start(t, NEAR)
  upstream.script = answerChat(['Hel', 'lo'])
  const { data, response } = await client.chat.completions
    .create({ ...CHAT, model: 'chat' })
    .withResponse()
  assert.equal(data.choices[0]?.message.content, 'Hello')
  assert.equal(data.model, 'chat')
  assert.equal(response.headers.get('x-headrace-version'), 'llama-3@near')
  assert.equal(response.headers.get('x-headrace-target'), 'near')
  assert.equal(response.headers.get('x-headrace-attempts'), '1')
  assert.ok(Number(response.headers.get('x-headrace-overhead-ms')) >= 0)
  assert.equal(upstream.only.headers['authorization'], `Bearer ${SECRET}`)
  assert.equal((upstream.only.json as { model: string }).model, 'llama-3')
  const record = await log.onlyRecord()
  assert.deepEqual(
    [record.model, record.version, record.upstream],
    ['chat', 'llama-3@near', 'near'],
  )
  assert.ok(!JSON.stringify(record).includes(SECRET))
})

test('where the upstream fails before its first word the library answers, and the row says what was tried', async (t) => {
  const { client, upstream, log } = await start(
    t,
    NEAR,
    '    retries: 0\n    fallbacks: [{ version: guide }]',
  )
  upstream.script = refuseWith(500)
  const stream = await client.chat.completions.create({ ...CHAT, model: 'chat', stream: true })
  let text = ''
  for await (const chunk of stream) text += chunk.choices[0]?.delta.content ?? ''
  assert.equal(text, WORDS.join(''))
  const { attempts, version, outcome } = await log.onlyRecord()
  assert.deepEqual(
    attempts.map(({ version: asked, error }) => [asked, error]),
    [
      ['llama-3@near', 'upstream_error'],
      ['guide@2', null],
    ],
  )
  assert.deepEqual([version, outcome], ['guide@2', 'completed'])
})

test('a version of a declared model can be pinned, and the listing has both kinds of models', async (t) => {
  const { client, upstream } = await start(t, '[{ upstream: near, model: a }, { version: guide }]')
  upstream.script = answerChat(['up'])
  for (const [name, content] of [
    ['chat@near', 'up'],
    ['chat@guide@2', null],
    ['guide@2', WORDS.join('')],
  ] as const) {
    const answer = client.chat.completions.create({ ...CHAT, model: name })
    if (content === null) await assert.rejects(answer, /does not exist/)
    else assert.equal((await answer).choices[0]?.message.content, content)
  }
  const models = await client.models.list()
  assert.deepEqual(models.data.map(({ id }) => id).toSorted(), ['chat', 'guide'])
})

test('what is saved is in force shortly after, and what is broken is not', async (t) => {
  const { client, upstream, declared, save, messages } = await start(t, NEAR)
  upstream.script = answerChat(['Hello'])
  const ask = (model: string) => client.chat.completions.create({ ...CHAT, model })
  await assert.rejects(ask('other'), /does not exist/)
  await assert.rejects(ask('constructor'), /does not exist/)

  await save(declarationOf(upstream.url, NEAR, `  other:\n    targets: ${NEAR}`))
  await until(() => declared.fileState()?.reloads === 1)
  assert.equal((await ask('other')).choices[0]?.message.content, 'Hello')

  await save(declarationOf(upstream.url, '[{ upstream: far, model: a }]'))
  await until(() => declared.fileState()?.reloads === 2)
  assert.match(declared.fileState()?.problem ?? '', /line 6: .*there is no upstream 'far'/)
  assert.match(messages().at(-1) ?? '', /What was declared before stays in force/)
  assert.equal((await ask('other')).choices[0]?.message.content, 'Hello')

  await save(declarationOf(upstream.url, NEAR))
  await until(() => declared.fileState()?.reloads === 3)
  assert.equal(declared.fileState()?.problem, null)
  await assert.rejects(ask('other'), /does not exist/)
})

test('a request under way outlives the change of its upstream', async (t) => {
  const { client, upstream, declared, save } = await start(t, NEAR)
  const { promise: mayEnd, resolve: end } = Promise.withResolvers<void>()
  const words = answerChat(['Hel', 'lo'])
  upstream.script = async (exchange) => {
    await mayEnd
    await words(exchange)
  }
  const answer = client.chat.completions.create({ ...CHAT, model: 'chat' })
  await until(() => upstream.requests.length === 1)
  await save(declarationOf(`${upstream.url}/elsewhere`, NEAR))
  await until(() => declared.fileState()?.reloads === 1)
  end()
  assert.equal((await answer).choices[0]?.message.content, 'Hello')
})

test('without a name the file of the first folder that has one counts', async (t) => {
  const [near, data, empty] = await Promise.all(
    ['near', 'data', 'empty'].map((n) => makeFolder(t, n)),
  )
  const declared = (upstream: string) => `upstreams: { ${upstream}: { api: openai } }\n`
  const library = { find: () => Promise.resolve(null), list: () => Promise.resolve([]) }
  const open = async (...folders: string[]) => {
    const options = { ...withoutTables(t), file: null, folders, env: {}, library }
    const opened = await openDeclared({ ...options, logger: recordLog().logger })
    t.after(() => opened.close())
    return opened.fileState()?.file ?? null
  }
  assert.equal(await open(empty!, data!), null)
  await writeFile(join(data!, 'headrace.yaml'), declared('a'))
  assert.equal(await open(empty!, data!), join(data!, 'headrace.yaml'))
  await writeFile(join(near!, 'headrace.yaml'), declared('b'))
  assert.equal(await open(near!, data!), join(near!, 'headrace.yaml'))
})

test('a broken file at the start is refused with all that is wrong', async (t) => {
  const file = join(await makeFolder(t), 'headrace.yaml')
  await writeFile(file, 'modles: {}\nupstreams: { a: { api: x } }\n')
  const library = libraryRoutes(
    VERSIONS,
    new LocalBackend({ runtime: new ScriptedRuntime([]), loadWaitMs: 1 }),
  )
  await assert.rejects(
    openDeclared({ ...withoutTables(t), file, env: {}, library, logger: recordLog().logger }),
    /line 1: modles: 'modles' is not known here; did you mean 'models'\?\n.*line 2: /,
  )
})
