// Headrace as `headrace gateway` composes it, without a runtime unless RUNTIME_URLS names one: no model is awaited.
//
// Prints one line of JSON when it is ready and ends, everything written, when it is told to.

import { pino } from 'pino'

import { loadConfig } from '../../../gateway/settings/config.ts'
import { lockDataFolder } from '../../../gateway/process/data-folder.ts'
import { startGateway } from '../../../gateway/main.ts'
import packageJson from '../../../package.json' with { type: 'json' }

/** Nothing listens there; nobody asks for a model of the library. */
const NO_RUNTIME = 'unix:/nonexistent/runtime.sock'

// No setting of the product's: proofs alone have a process die.
const { HEADRACE_FAULT_POINT: faultPoint, ...env } = process.env
const settings = loadConfig(env)
const lock = await lockDataFolder(settings.dataDir, 'server')
const gateway = await startGateway({
  settings,
  release: packageJson.version,
  runtimes: { addresses: settings.runtimeUrls ?? [NO_RUNTIME], token: null, isOwn: false },
  logger: pino({ level: settings.logLevel }, pino.destination({ dest: 2, sync: false })),
  env,
  faultPoint,
})
gateway.readiness.ready('The bench has begun.')
process.stdout.write(`${JSON.stringify({ url: gateway.url, adminKey: gateway.adminKey.key })}\n`)

process.once('SIGTERM', () => {
  gateway
    .close(AbortSignal.timeout(1_000))
    .then(() => lock.release())
    .then(
      () => process.exit(0),
      (error: unknown) => {
        process.stderr.write(`${String(error)}\n`)
        process.exit(1)
      },
    )
})
