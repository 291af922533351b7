// The profile `cpu`: gateway, runtime, PostgreSQL and Redis answer together, and a gateway that is told to end finishes the
// answers that it has begun.

import { setTimeout as sleep } from 'node:timers/promises'

import { chat, send, startLoad } from '../load.ts'
import { say, tally } from '../verdict.ts'
import { Composed, lasting, MODEL } from './composed.ts'
import type { Seen } from '../load.ts'
import type { Verdict } from '../verdict.ts'
import type { Containers } from './containers.ts'

export async function proveCpu(containers: Containers, verdict: Verdict, clients: number) {
  await using composed = await Composed.up(containers, { profiles: ['cpu'] })
  verdict.hold(
    'compose brings up gateway, runtime, PostgreSQL and Redis',
    true,
    `ready after ${(composed.startMs / 1000).toFixed(0)} s`,
  )
  const one = await send(composed.urlOf('gateway'), chat(composed.adminKey, false, MODEL))
  verdict.hold(
    'a chat completion is answered',
    one.isWhole,
    `${one.status ?? 'no answer'}, ${(one.endMs - one.startMs).toFixed(0)} ms`,
  )
  for (const role of ['gateway', 'runtime']) {
    await composed.exec(role, 'node', '/app/docker/healthcheck.ts', role)
  }
  verdict.hold('the health checks of gateway and runtime pass', true, 'they do')
  await endUnderLoad(composed, verdict, clients)
}

async function endUnderLoad(composed: Composed, verdict: Verdict, clients: number) {
  say(`The gateway is told to end under ${clients} clients.`)
  const gateway = composed.nameOf('gateway')
  const seen: Seen[] = []
  const load = startLoad({
    clients,
    pauseMs: 20,
    origin: () => composed.urlOf('gateway'),
    // Of different lengths, or all of them would end, and ask again, at once.
    ask: (client) => lasting(composed.adminKey, 500 + client * 50),
    seen: (one) => void seen.push(one),
  })
  await sleep(2_000)
  await composed.podman('stop', '--time', '45', gateway)
  await load.stop()
  const code = await composed.podman('inspect', '--format', '{{.State.ExitCode}}', gateway)
  const begun = seen.filter(({ status }) => status === 200)
  verdict.hold(
    'SIGTERM lets the answers that have begun end',
    begun.every(({ isWhole }) => isWhole),
    tally(begun.map(({ isWhole, code }) => (isWhole ? 'whole' : (code ?? 'not whole')))),
  )
  const refused = seen.filter(({ code }) => code === 'draining').map(({ endMs }) => endMs)
  const drainsMs = Math.min(...refused)
  const late = begun.filter(({ startMs, endMs }) => startMs < drainsMs && endMs > drainsMs)
  verdict.hold(
    'they end after new requests are refused',
    late.length > 0,
    `${late.length} answers, ${refused.length} refused`,
  )
  verdict.hold(
    'the gateway ends by itself, with code 0',
    code.trim() === '0',
    `code ${code.trim()}`,
  )
}
