// The command line says who is told of deployments, and tells what became of the calls, by asking the server that runs.

import assert from 'node:assert/strict'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { test } from 'node:test'

import { commandLineOf } from '../support/command-line.ts'
import { migrate } from '../../gateway/db/migrate.ts'
import { Webhooks } from '../../gateway/deployments/webhooks.ts'
import { Keyring } from '../../gateway/secrets.ts'
import { startAdmin } from '../support/admin.ts'
import { recordLog } from '../support/logger.ts'
import { usePostgres } from '../support/postgres.ts'
import { eventually } from '../support/runtime.ts'

const postgres = usePostgres()

test('addresses are told of deployments, tried out and removed from the command line', async (t) => {
  const pool = await postgres.pool(t)
  await migrate(pool)
  const keyring = new Keyring([Buffer.alloc(32, 7)])
  const webhooks = new Webhooks({ pool, keyring, logger: recordLog().logger, pollMs: 10 })
  t.after(() => webhooks.close())
  const statuses = [500, 200, 200]
  const receiver = createServer((request, response) => {
    request.resume().on('end', () => response.writeHead(statuses.shift() ?? 500).end())
  })
  await new Promise<void>((resolve) => receiver.listen(0, '127.0.0.1', resolve))
  t.after(() => receiver.close())
  const address = `http://127.0.0.1:${(receiver.address() as AddressInfo).port}/hook`
  const admin = await startAdmin(t, pool, { deps: { webhooks: { webhooks, keyring } } })
  const { key } = await admin.makeKey({ name: 'somebody', role: 'admin' })
  const headrace = commandLineOf({ HEADRACE_URL: admin.url, HEADRACE_API_KEY: key })
  const run = (...args: string[]) => headrace('webhooks', ...args)

  assert.match(await run('list'), /^Nobody is told\./)
  const [told, secret] = (await run('add', address)).split('\n')
  assert.match(secret!, /^whsec_/)
  const [, id = ''] = /\(([0-9a-f-]{36})\)/.exec(told!) ?? []
  const listed = await run('list')
  assert.match(listed, new RegExp(`${id} +${address} +…${secret!.slice(-4)} +admin API`))
  await assert.rejects(run('test', id), /did not receive it: It answered with status 500\./)
  assert.equal(await run('test', id), `${address} received it.`)
  const deliveries = await run('deliveries')
  assert.match(deliveries, /webhook\.test .+ delivered +1 +-\n.+ given_up +1 +It answered with/)
  const [failed] = (
    JSON.parse(await run('deliveries', '--state', 'given_up', '--json')) as {
      data: { id: string }[]
    }
  ).data
  assert.equal(await run('resend', failed!.id), `webhook.test is told to ${address} again.`)
  await eventually('it is received', async () => {
    return (await run('deliveries', '--state', 'given_up')) === 'There are no such calls.'
  })
  const rotated = await run('rotate', id, '--overlap', '1h')
  assert.match(
    rotated,
    /has another secret\. The one of before signs as well until \S+Z\. .+\nwhsec_/,
  )
  const hint = rotated.slice(-4)
  assert.match(await run('list'), new RegExp(`…${hint}, and the one of before until 20`))
  assert.match(await run('rotate', id, '--overlap', '0s'), /The one of before signs no more\./)
  assert.equal(await run('remove', id), `${address} is told nothing any more.`)
  assert.match(await run('list'), /^Nobody is told\./)
})
