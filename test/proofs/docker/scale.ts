// The profile `scale`: two gateways publish to RabbitMQ, and what they answered comes to PostgreSQL by the log-writer and by
// nothing else.

import { setTimeout as sleep } from 'node:timers/promises'

import { chat, send } from '../load.ts'
import { say } from '../verdict.ts'
import { Composed, MODEL, readSecret, waitFor } from './composed.ts'
import type { Verdict } from '../verdict.ts'
import type { Containers } from './containers.ts'

const PROFILES = ['cpu', 'scale']
const PATIENCE_MS = 90_000
/** a gateway that writes itself takes a tenth of it */
const WITHOUT_WRITER_MS = 5_000

export async function proveScale(containers: Containers, verdict: Verdict) {
  const env = { BROKER_URL_FILE: '/run/secrets/broker-url' }
  await using composed = await Composed.up(containers, { profiles: PROFILES, env })
  const health = ['node', '/app/docker/healthcheck.ts', 'gateway', '/readyz']
  const isSecondReady = await waitFor(async () => {
    await composed.startAgain()
    return composed.exec('gateway-2', ...health).then(
      () => true,
      () => null,
    )
  }, PATIENCE_MS)
  verdict.hold(
    'two gateways serve, each with a data folder of its own',
    isSecondReady !== null,
    `ready after ${(composed.startMs / 1000).toFixed(0)} s`,
  )
  await judgeWay(composed, verdict)
}

async function judgeWay(composed: Composed, verdict: Verdict) {
  const { adminKey } = composed
  const writer = composed.nameOf('log-writer')
  const ask = () => send(composed.urlOf('gateway'), chat(adminKey, false, MODEL))
  const isWritten = async (id: string | null) => {
    const response = await fetch(`${composed.urlOf('gateway')}/admin/exchanges/${id}`, {
      headers: { authorization: `Bearer ${adminKey}` },
    })
    await response.arrayBuffer()
    return response.ok || null
  }

  say('The log-writer is stopped, and a completion is asked for.')
  await composed.podman('stop', '--time', '45', writer)
  const first = await ask()
  await sleep(WITHOUT_WRITER_MS)
  const isThere = await isWritten(first.id)
  verdict.hold(
    'without a log-writer its row is with the broker',
    first.isWhole && !isThere,
    `${first.status ?? 'no answer'}, ${isThere ? 'it is in PostgreSQL' : 'not in PostgreSQL'}`,
  )

  await composed.podman('start', writer)
  const before = performance.now()
  const comes = await waitFor(() => isWritten(first.id), PATIENCE_MS)
  verdict.hold(
    'with one it comes to PostgreSQL',
    comes !== null,
    comes ? `after ${((performance.now() - before) / 1000).toFixed(1)} s` : 'it does not',
  )

  // The second gateway has no port on this host.
  const body = JSON.stringify(chat(adminKey, false, MODEL).body)
  const id = await composed.exec('gateway-2', 'node', '-e', ASK, adminKey, body)
  const second = await waitFor(() => isWritten(id.trim()), PATIENCE_MS)
  verdict.hold('so does the row of the second gateway', second !== null, id.trim())
  const page = await composed.exec(
    'log-writer',
    'node',
    '-e',
    SCRAPE,
    await readSecret('metrics-token'),
  )
  const written = /^headrace_log_writer_exchanges_total (\d+)$/m.exec(page)?.[1]
  verdict.hold('it was the log-writer that wrote them', Number(written) >= 2, `${written} rows`)
}

/** In a gateway's container. */
const ASK = `
  const [key, body] = process.argv.slice(1)
  fetch('http://127.0.0.1:8080/v1/chat/completions', {
    method: 'POST',
    headers: { authorization: 'Bearer ' + key, 'content-type': 'application/json' },
    body,
  }).then((response) => console.log(response.headers.get('x-request-id')))`

/** In a log-writer's container. */
const SCRAPE = `
  fetch('http://127.0.0.1:8091/metrics', { headers: { authorization: 'Bearer ' + process.argv[1] } })
    .then((response) => response.text())
    .then(console.log)`
