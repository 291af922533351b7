// `headrace models ps`, `load` and `unload`: what the running server has loaded, and what it is told to.

import { serverApi } from './server-api.ts'
import { asTable, json } from './table.ts'
import type { EngineListBody } from '../gateway/dialects/admin/engine.ts'
import type { Settings } from '../gateway/settings/settings.ts'
import type { Output } from './progress.ts'

interface EngineCommandDeps {
  loadSettings(): Settings
  stdout: Output
}

export async function psCommand({ json: isJson }: { json?: boolean }, deps: EngineCommandDeps) {
  const body = await serverApi(deps.loadSettings()).ask('GET', '/admin/engines')
  deps.stdout.write(`${isJson ? json(body) : listing(body as EngineListBody)}\n`)
}

export async function loadCommand(version: string, deps: EngineCommandDeps) {
  const server = serverApi(deps.loadSettings())
  // Loads of large versions outlast a request.
  for (;;) {
    const answer = await server.ask('POST', '/admin/engines/load', { version })
    const isLoaded = answer['object'] === 'engine.loaded'
    const said = isLoaded ? `${String(answer['version'])} is loaded.` : String(answer['detail'])
    deps.stdout.write(`${said}\n`)
    if (isLoaded) return
  }
}

export async function unloadCommand(
  version: string,
  { force = false }: { force?: boolean },
  deps: EngineCommandDeps,
) {
  const server = serverApi(deps.loadSettings())
  const answer = await server.ask('POST', '/admin/engines/unload', { version, force })
  const said = answer['was_loaded'] === true ? 'is unloaded' : 'was not loaded'
  const comesBack = answer['wanted'] === true ? ' It is live or kept warm, and comes back.' : ''
  deps.stdout.write(`${version} ${said}.${comesBack}\n`)
}

function listing({ hosts, data }: EngineListBody): string {
  const engines = data.flatMap((engine) => [
    [
      engine.version,
      engine.reason ? `${engine.state}: ${engine.reason}` : engine.state,
      engine.host,
      mib(engine.memory_bytes),
      String(engine.slots),
      String(engine.running),
      String(engine.waiting),
      engine.last_used_at.slice(0, 19),
      engine.wanted ? 'yes' : 'no',
    ],
    // Their figures are the engine's.
    ...engine.adapters.map((adapter) => [
      adapter,
      `in ${engine.version}`,
      engine.host,
      ...Array.from({ length: 6 }, () => '-'),
    ]),
  ])
  const headings = [
    'VERSION',
    'STATE',
    'HOST',
    'MEMORY',
    'SLOTS',
    'RUNNING',
    'WAITING',
    'LAST USED',
    'STAYS',
  ]
  const machines = hosts.map(({ name, up, device, memory }) =>
    up && memory
      ? [
          name,
          device ?? '',
          mib(memory.used_bytes),
          mib(memory.budget_bytes),
          mib(memory.free_bytes),
        ]
      : [name, 'away', '-', '-', '-'],
  )
  const columns = ['HOST', 'DEVICE', 'USED', 'BUDGET', 'FREE ON THE MACHINE']
  return [asTable(headings, engines), asTable(columns, machines)].join('\n\n')
}

function mib(bytes: number): string {
  return `${Math.round(bytes / 2 ** 20)} MiB`
}
