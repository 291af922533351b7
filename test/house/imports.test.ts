// That the linter really refuses what the house's import rules forbid: a rule that matches nothing looks just like one
// that nobody breaks.

import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { cp, mkdir, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import test from 'node:test'
import { promisify } from 'node:util'

import { makeFolder } from '../support/folder.ts'
import { ROOT } from '../support/process.ts'

const run = promisify(execFile)

const FORBIDDEN = [
  ['gateway/answering/answer.ts', '../../runtime/host/host.ts'],
  ['gateway/plugins/auth.ts', '../../runtime/engine/engine.ts'],
  ['gateway/backends/local.ts', '../../runtime/address.ts'],
  ['gateway/main.ts', '../models/sources/hub.ts'],
  ['gateway/main.ts', '../cli/serve.ts'],
  ['gateway/backends/local.ts', 'fastify'],
  ['gateway/backends/upstream/openai.ts', 'undici'],
  ['gateway/db/pool.ts', '@fastify/swagger'],
  ['gateway/routes/chat.ts', './completions.ts'],
  ['gateway/routes/chat.ts', 'undici'],
  ['gateway/routes/chat.ts', 'prom-client'],
  ['gateway/exchange-log/exchange-log.ts', 'rabbitmq-client'],
  ['gateway/broker/sink.ts', 'undici'],
  ['cli/log-writer.ts', 'rabbitmq-client'],
  ['gateway/answering/answer.ts', 'koffi'],
  ['runtime/host/host.ts', '../../gateway/errors.ts'],
  ['runtime/host/host.ts', '../../models/store.ts'],
  ['runtime/engine/engine.ts', 'onnxruntime-node'],
  ['runtime/engine/engine.ts', 'koffi'],
  ['models/store.ts', '../runtime/protocol.ts'],
  ['models/sources/hub.ts', '../../gateway/errors.ts'],
  ['cli/serve.ts', 'koffi'],
  ['grafana/overview.ts', '../gateway/metrics/buckets.ts'],
] as const

const ALLOWED = [
  ['gateway/main.ts', '../runtime/client.ts'],
  ['gateway/backends/local.ts', '../../runtime/protocol.ts'],
  ['gateway/main.ts', '../models/store.ts'],
  ['gateway/main.ts', 'fastify'],
  ['gateway/main.ts', './runtimes.ts'],
  ['gateway/metrics/metrics.ts', 'prom-client'],
  ['gateway/broker/sink.ts', 'rabbitmq-client'],
  ['gateway/backends/upstream/http.ts', 'undici'],
  ['gateway/backends/upstream/http-arrival.ts', 'undici'],
  ['gateway/routes/chat.ts', '../answering/answer.ts'],
  ['runtime/client.ts', 'undici'],
  ['runtime/import.ts', '../models/manifest.ts'],
  ['runtime/ort/api.ts', 'koffi'],
  ['models/sources/hub.ts', 'undici'],
  ['cli/serve.ts', '../gateway/main.ts'],
] as const

/** Files that hold these imports, and the linter's word on each of them. */
async function lint(folder: string, imports: readonly (readonly [string, string])[]) {
  const lines = new Map<string, string[]>()
  for (const [file, specifier] of imports) {
    lines.set(file, [...(lines.get(file) ?? []), `import '${specifier}'`])
  }
  await cp(join(ROOT, '.oxlintrc.json'), join(folder, '.oxlintrc.json'))
  for (const [file, text] of lines) {
    await mkdir(dirname(join(folder, file)), { recursive: true })
    await writeFile(join(folder, file), text.join('\n'))
  }
  const program = join(ROOT, 'node_modules', '.bin', 'oxlint')
  const { stdout } = await run(program, ['--format=unix'], { cwd: folder }).catch(
    (error: { stdout: string }) => error,
  )
  return stdout
}

test('every import that the house forbids is refused', async (t) => {
  const folder = await makeFolder(t)
  const found = await lint(folder, FORBIDDEN)
  const refused = found.split('\n').filter((line) => line.includes('no-restricted-imports'))
  for (const [file, specifier] of FORBIDDEN) {
    const line = FORBIDDEN.filter(([other]) => other === file).findIndex(
      ([, other]) => other === specifier,
    )
    const isRefused = refused.some((text) => text.startsWith(`${file}:${line + 1}:`))
    assert.ok(isRefused, `${file} may import ${specifier}:\n${found}`)
  }
})

test('what the house is built of is allowed', async (t) => {
  const found = await lint(await makeFolder(t), ALLOWED)
  assert.ok(!found.includes('no-restricted-imports'), found)
})

test('modules that import each other in a circle are refused', async (t) => {
  const folder = await makeFolder(t)
  const found = await lint(folder, [
    ['gateway/one.ts', './two.ts'],
    ['gateway/two.ts', './one.ts'],
  ])
  assert.match(found, /no-cycle/)
})
