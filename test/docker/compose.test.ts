// docker/compose.yaml, read as Compose reads it: by its schema, and against what the processes understand.

import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { copyFile, readdir, readFile, stat } from 'node:fs/promises'
import { join } from 'node:path'
import test from 'node:test'
import { promisify } from 'node:util'

import { Ajv } from 'ajv'
import { parse } from 'yaml'

import {
  DEFAULTS_OF_COMPOSE,
  envExample,
  GIVEN_BY_COMPOSE,
  OF_COMPOSE,
  SECRET_FILES,
} from '../../docker/env-example.ts'
import { loadConfig } from '../../gateway/settings/config.ts'
import { SETTINGS } from '../../gateway/settings/settings.ts'
import { makeFolder } from '../support/folder.ts'

interface Service {
  image: string
  profiles?: string[]
  environment?: Record<string, unknown>
  env_file?: unknown
  secrets?: (string | { source: string })[]
  volumes?: string[]
  networks?: string[] | Record<string, unknown>
  depends_on?: Record<string, { condition: string; required?: boolean }>
  healthcheck?: { test?: string[]; disable?: boolean }
  stop_grace_period?: string
  read_only?: boolean
  deploy?: { resources?: { limits?: unknown; reservations?: { devices?: unknown[] } } }
}
interface Compose {
  services: Record<string, Service>
  secrets: Record<string, { file: string }>
  volumes: Record<string, unknown>
  networks: Record<string, unknown>
}

const FOLDER = join(import.meta.dirname, '../../docker')
const PROFILES = ['cpu', 'gpu', 'watch', 'scale', 'tls']
const OURS = ['gateway', 'gateway-2', 'models', 'runtime', 'runtime-gpu', 'log-writer']

const text = await readFile(join(FOLDER, 'compose.yaml'), 'utf8')
const compose = parse(text, { merge: true }) as Compose
const services = Object.entries(compose.services)

test('the compose file is one by the schema of the Compose Specification', async () => {
  const schema = await readFile(join(import.meta.dirname, 'compose-spec.json'), 'utf8')
  const { $schema: _, ...rest } = JSON.parse(schema) as Record<string, unknown>
  const isValid = new Ajv({ strict: false, allErrors: true, validateFormats: false }).compile(rest)
  assert(isValid(compose), JSON.stringify(isValid.errors, null, 2))
  assert(!isValid({ ...compose, services: { gateway: { imgae: 'headrace' } } }))
})

test('each profile starts what its services wait for', () => {
  const profiles = new Set(services.flatMap(([, service]) => service.profiles ?? []))
  assert.deepEqual(profiles, new Set(PROFILES))
  for (const profile of ['none', ...PROFILES]) {
    const isStarted = ([, { profiles }]: [string, Service]) => profiles?.includes(profile) ?? true
    const started = new Map(services.filter(isStarted))
    for (const [name, { depends_on = {} }] of started) {
      for (const [awaited, { condition, required = true }] of Object.entries(depends_on)) {
        if (!required) continue
        const other = started.get(awaited)
        assert(other, `${name} waits for ${awaited}, which ${profile} does not start`)
        assert(condition !== 'service_healthy' || other.healthcheck?.test, `${awaited}'s health`)
      }
    }
  }
})

test('whatever runs for long is bounded and watched, and ours can write to nothing but its volumes', () => {
  for (const [name, service] of services) {
    assert(service.healthcheck, `${name} has no health check`)
    if (name !== 'models') assert(service.deploy?.resources?.limits, `${name} has no limits`)
    if (OURS.includes(name)) assert.equal(service.read_only, true, name)
  }
})

test('the processes are given settings that there are, and files of secrets that are mounted', () => {
  const known = new Map(Object.values(SETTINGS).map((setting) => [setting.name, setting]))
  for (const name of OURS) {
    const service = compose.services[name]!
    const mounted = (service.secrets ?? []).map(String)
    for (const [variable, value] of Object.entries(service.environment ?? {})) {
      if (known.has(variable)) continue
      const secret = variable.replace(/_FILE$/, '')
      assert(secret !== variable && 'isSecret' in (known.get(secret) ?? {}), `${name}: ${variable}`)
      const file = /^\/run\/secrets\/(.+)$/.exec(String(value))?.[1]
      if (file) {
        assert(mounted.includes(file), `${name} is told of ${file}, which it does not have`)
        assert.equal(SECRET_FILES[secret], file)
      }
    }
  }
})

test('a gateway gets longer to stop than its answers get to end', () => {
  const seconds = Number(
    OF_COMPOSE.find(([name]) => name === 'STOP_GRACE_PERIOD')?.[1].slice(0, -1),
  )
  assert(seconds * 1000 >= Number(SETTINGS.drainMs.default) + 10_000)
  for (const name of ['gateway', 'gateway-2', 'runtime', 'runtime-gpu', 'log-writer']) {
    assert.equal(
      compose.services[name]!.stop_grace_period,
      `\${STOP_GRACE_PERIOD:-${seconds}s}`,
      name,
    )
  }
})

test('each gateway has its data folder to itself, and is found under one name', () => {
  const gateways = services.filter(([, { healthcheck }]) => healthcheck?.test?.at(-1) === 'gateway')
  assert.equal(gateways.length, 2)
  const folders = gateways.map(([, { volumes = [] }]) =>
    volumes.find((one) => one.endsWith(':/data')),
  )
  assert.equal(new Set(folders).size, gateways.length, folders.join(', '))
  for (const network of ['front', 'back']) {
    const { networks } = compose.services['gateway-2']! as {
      networks: Record<string, { aliases: string[] }>
    }
    assert.deepEqual(networks[network]?.aliases, ['gateway'])
  }
})

test('a GPU is reserved by its capability', () => {
  const { devices } = compose.services['runtime-gpu']!.deploy!.resources!.reservations!
  assert.deepEqual(devices, [{ driver: 'nvidia', count: '${GPUS:-all}', capabilities: ['gpu'] }])
})

test('.env.example says what the schema of the settings says', async () => {
  const written = await readFile(join(FOLDER, '.env.example'), 'utf8')
  assert.equal(
    written,
    envExample(),
    'Make it again: node docker/env-example.ts > docker/.env.example',
  )
  for (const { name } of Object.values(SETTINGS)) {
    const isThere = new RegExp(`^#? ?${name}[=:]`, 'm').test(written)
    assert.equal(isThere, !GIVEN_BY_COMPOSE.includes(name), name)
  }
})

test('.env.example names each variable of the compose file, with its default', () => {
  const used = [...text.matchAll(/\$\{([A-Z_]+)(?::?-([^}]*))?\}/g)]
  const names = new Set(used.map(([, name]) => name!))
  const ofCompose = new Map(OF_COMPOSE.map(([name, byDefault]) => [name, byDefault]))
  const ofSettings = Object.values(SETTINGS).map(
    (setting) => [setting.name, setting.default] as const,
  )
  const defaults = new Map([...ofSettings, ...ofCompose, ...Object.entries(DEFAULTS_OF_COMPOSE)])
  for (const [, name, byDefault] of used) {
    assert(defaults.has(name!), `.env.example does not name ${name}`)
    // Two services have it, each with a default of its own.
    if (name !== 'RUNTIME_MEMORY') assert.equal(byDefault ?? '', defaults.get(name!) ?? '', name)
  }
  const unused = [...ofCompose.keys()].filter((name) => !names.has(name))
  assert.deepEqual(unused, ['COMPOSE_PROFILES'])
})

test('the secrets are made once, for their owner, and are what the settings allow', async (t) => {
  const folder = await makeFolder(t, 'docker')
  await copyFile(join(FOLDER, 'make-secrets.sh'), join(folder, 'make-secrets.sh'))
  const make = () => promisify(execFile)('sh', [join(folder, 'make-secrets.sh')])
  await make()
  const secrets = join(folder, 'secrets')
  const readAll = async () =>
    Object.fromEntries(
      await Promise.all(
        (await readdir(secrets)).map(async (name) => [
          name,
          await readFile(join(secrets, name), 'utf8'),
        ]),
      ),
    ) as Record<string, string>
  const made = await readAll()
  assert.deepEqual(
    Object.keys(made).sort(),
    Object.values(compose.secrets)
      .map(({ file }) => file.replace('./secrets/', ''))
      .sort(),
  )
  assert.equal((await stat(secrets)).mode & 0o777, 0o700)
  assert.equal((await stat(join(secrets, 'admin-key'))).mode & 0o777, 0o644)

  const files = Object.entries(SECRET_FILES).map(([name, file]) => [
    `${name}_FILE`,
    join(secrets, file),
  ])
  const settings = loadConfig(Object.fromEntries(files) as NodeJS.ProcessEnv)
  assert.equal(settings.adminKey, made['admin-key']?.trim())
  assert.match(made['redis.conf']!, new RegExp(new URL(settings.redisUrl!).password))
  assert.match(made['rabbitmq.conf']!, new RegExp(new URL(settings.brokerUrl!).password))

  await make()
  assert.deepEqual(await readAll(), made)
})
