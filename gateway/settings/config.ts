// The environment's settings, read by the one schema of settings.ts: all of them, or every problem at once.
//
// A variable that is set but empty counts as not set, as compose files leave them. A HEADRACE_ variable that nobody
// knows is a problem too: a misspelt setting would otherwise be the default, silently. Secrets may be in files
// (secret-files.ts).
//
// Knows: texts in, settings out. Does not know: process.env; the command line hands it over.

import { isIP } from 'node:net'
import { resolve } from 'node:path'

import { nearestName } from '../nearest-name.ts'
import { readSecretFiles, SECRET_NAMES, secretFileName } from './secret-files.ts'
import { SETTINGS } from './settings.ts'
import type { Setting } from './setting-kinds.ts'
import type { Settings } from './settings.ts'

export class ConfigError extends Error {
  override name = 'ConfigError'
  /** one sentence for each problem */
  readonly problems: string[]

  constructor(problems: string[]) {
    const list = problems.map((problem) => `  ${problem}`).join('\n')
    super(`The settings can't be used:\n${list}`)
    this.problems = problems
  }
}

/** As loadConfig, with the default for whatever can't be used: for help texts, which have to be seen all the same. */
export function presumeConfig(env: NodeJS.ProcessEnv): Settings {
  const settings = Object.entries<Setting<unknown>>(SETTINGS).map(([key, setting]) => {
    const texts = [env[setting.name]?.trim(), setting.default]
    const values = texts.map((text) => (text ? setting.read(text) : undefined))
    return [key, values.find((value) => value !== undefined) ?? null]
  })
  const read = Object.fromEntries(settings) as Settings
  return { ...read, dataDir: resolve(read.dataDir) }
}

/** @throws ConfigError with every problem */
export function loadConfig(given: NodeJS.ProcessEnv): Settings {
  const { env, problems } = readSecretFiles(given)
  const settings: Record<string, unknown> = {}
  for (const [key, setting] of Object.entries<Setting<unknown>>(SETTINGS)) {
    const text = env[setting.name]?.trim() || setting.default
    const value = text === null ? null : setting.read(text)
    if (value === undefined && text !== null) problems.push(refusal(setting, text))
    settings[key] = value
  }
  problems.push(...unknownNames(env), ...contradictions(settings))
  if (problems.length > 0) throw new ConfigError(problems)

  // Each was read by its own entry of the schema, and none was refused.
  const read = settings as Settings
  return { ...read, dataDir: resolve(read.dataDir) }
}

/** Nobody but this machine's own processes can reach it. */
export function isLoopback(host: string): boolean {
  if (host === 'localhost') return true
  return isIP(host) === 4 ? host.startsWith('127.') : host === '::1'
}

function refusal(setting: Setting<unknown>, given: string): string {
  const shown = setting.isSecret ? mask(given) : `'${given}'`
  return `${setting.name} is ${shown}; allowed is ${setting.allowed}.`
}

function mask(secret: string): string {
  return `*** (${secret.length} characters)`
}

const PREFIX = 'HEADRACE_'

function unknownNames(env: NodeJS.ProcessEnv): string[] {
  const known = [
    ...Object.values<Setting<unknown>>(SETTINGS).map(({ name }) => name),
    ...SECRET_NAMES.map(secretFileName),
  ]
  return Object.keys(env)
    .filter((name) => name.startsWith(PREFIX) && !known.includes(name))
    .sort()
    .map((name) => {
      // What all names begin with says nothing of which one was meant.
      const tails = known.map((setting) => setting.replace(PREFIX, ''))
      const tail = nearestName(name.replace(PREFIX, ''), tails)
      const nearest = tail !== null && known[tails.indexOf(tail)]
      return nearest
        ? `${name} is no setting; did you mean ${nearest}?`
        : `${name} is no setting; docs/settings.md lists those that are.`
    })
}

function contradictions(settings: Partial<Settings>): string[] {
  return [
    ...runtimeContradictions(settings),
    ...oidcContradictions(settings),
    ...brokerContradictions(settings),
  ]
}

function runtimeContradictions({ runtimeListen, runtimeToken }: Partial<Settings>): string[] {
  const url = runtimeListen?.startsWith('http:') ? URL.parse(runtimeListen) : null
  const host = url?.hostname.replace(/^\[(.*)\]$/, '$1')
  if (host === undefined || isLoopback(host) || runtimeToken) return []
  return [
    `HEADRACE_RUNTIME_LISTEN is '${runtimeListen}', which other machines can reach; ` +
      `HEADRACE_RUNTIME_TOKEN has to be set then.`,
  ]
}

/** Nobody but this process's own host reaches the embedded database, and log-writers are elsewhere. */
function brokerContradictions({ brokerUrl, databaseUrl }: Partial<Settings>): string[] {
  if (!brokerUrl || databaseUrl) return []
  return ['LOG_BROKER_URL is set; DATABASE_URL has to be set then.']
}

/** Tokens of one audience are handed to others too; a token for anybody would be a key for everybody. */
function oidcContradictions(settings: Partial<Settings>): string[] {
  const { oidcIssuer, oidcAudience, oidcJwksUrl } = settings
  const problems: string[] = []
  if (oidcIssuer && !oidcAudience) {
    problems.push('HEADRACE_OIDC_ISSUER is set; HEADRACE_OIDC_AUDIENCE has to be set then.')
  }
  const given = { HEADRACE_OIDC_AUDIENCE: oidcAudience, HEADRACE_OIDC_JWKS_URL: oidcJwksUrl }
  for (const [name, value] of Object.entries(given)) {
    if (value && !oidcIssuer) {
      problems.push(`${name} is set; HEADRACE_OIDC_ISSUER has to be set then.`)
    }
  }
  const addresses = { HEADRACE_OIDC_ISSUER: oidcIssuer, HEADRACE_OIDC_JWKS_URL: oidcJwksUrl }
  for (const [name, address] of Object.entries(addresses)) {
    if (address && !isPrivateWay(address)) {
      problems.push(
        `${name} is '${address}'; whoever sits between could make keys of their own: allowed is https://.`,
      )
    }
  }
  return problems
}

function isPrivateWay(address: string): boolean {
  const url = URL.parse(address)
  return url?.protocol === 'https:' || isLoopback(url?.hostname.replace(/^\[(.*)\]$/, '$1') ?? '')
}
