// The gateway as it is served: embedded PostgreSQL, a key of the table with limits, metrics, every exchange logged. Only
// the runtime is missing, which nobody asks for here.

import { join } from 'node:path'

import { pino } from 'pino'

import { loadConfig } from '../../../gateway/config.ts'
import { startGateway } from '../../../gateway/main.ts'

const [folder = '', upstream = ''] = process.argv.slice(2)

const env = {
  HEADRACE_PORT: '0',
  HEADRACE_DATA_DIR: folder,
  HEADRACE_CONFIG: join(folder, 'headrace.yaml'),
  MOCK: upstream,
}
const gateway = await startGateway({
  settings: loadConfig(env),
  release: '0.0.0-bench',
  runtimes: { addresses: [`unix:${folder}/no-runtime.sock`], token: null },
  logger: pino({ level: 'warn' }, pino.destination(2)),
  env,
})
gateway.readiness.ready('The bench has no model.')

const answer = await fetch(`${gateway.url}/admin/keys`, {
  method: 'POST',
  headers: {
    'content-type': 'application/json',
    authorization: `Bearer ${gateway.adminKey.key}`,
  },
  body: JSON.stringify({
    name: 'bench',
    limits: { requests_per_minute: 100_000_000, tokens_per_minute: 1_000_000_000_000 },
  }),
})
if (!answer.ok) throw new Error(`No key could be made: ${await answer.text()}`)
const { key } = (await answer.json()) as { key: string }
process.send?.({ port: Number(new URL(gateway.url).port), key })

process.on('message', (message) => {
  if (message === 'gc') globalThis.gc?.()
})
process.on('disconnect', () => {
  void gateway.close(AbortSignal.timeout(5_000)).then(() => process.exit(0))
})
