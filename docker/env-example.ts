// What docker/.env.example says: every setting of the environment, in the order of docs/settings.md, and what only
// docker/compose.yaml reads. A test compares it with the file.
//
//   node docker/env-example.ts > docker/.env.example
//
// Knows: which settings the compose file has under its own control. Does not know: what any of them does.

import { fileURLToPath } from 'node:url'

import { SETTINGS } from '../gateway/settings/settings.ts'
import type { Setting } from '../gateway/settings/setting-kinds.ts'

/** Settings that docker/compose.yaml gives the processes itself; a line in .env would not be heard. */
export const GIVEN_BY_COMPOSE = [
  'HEADRACE_HOST',
  'HEADRACE_PORT',
  'HEADRACE_DATA_DIR',
  'HEADRACE_LOG_WRITER_LISTEN',
  'HEADRACE_RUNTIME_LISTEN',
]

/** Secrets that docker/compose.yaml mounts, with the files of docker/secrets/ that they are in. */
export const SECRET_FILES: Record<string, string> = {
  HEADRACE_ADMIN_KEY: 'admin-key',
  DATABASE_URL: 'database-url',
  HEADRACE_SECRET_KEY: 'secret-key',
  HEADRACE_METRICS_TOKEN: 'metrics-token',
  LOG_BROKER_URL: 'broker-url',
  REDIS_URL: 'redis-url',
  HEADRACE_RUNTIME_TOKEN: 'runtime-token',
}

/** Settings that docker/compose.yaml gives another default. */
export const DEFAULTS_OF_COMPOSE: Record<string, string> = {
  RUNTIME_URLS: 'http://runtime:8090',
}

/** What the compose file itself reads: name, default, what it is. */
export const OF_COMPOSE: [name: string, byDefault: string, about: string][] = [
  ['COMPOSE_PROFILES', 'cpu', 'what is started: cpu or gpu, watch, scale, tls, with commas'],
  ['PUBLISH', '127.0.0.1:8080', 'address of this host that the gateway is reached at'],
  ['DOMAIN', 'localhost', 'name that Caddy answers for, with certificates (profile tls)'],
  ['HTTP_PUBLISH', '80', 'port of this host, or address and port, that Caddy sends on to HTTPS'],
  ['HTTPS_PUBLISH', '443', 'the same for HTTPS'],
  ['BROKER_URL_FILE', '', '/run/secrets/broker-url sends exchanges to RabbitMQ (profile scale)'],
  ['LOG_WRITERS', '1', 'log-writers (profile scale)'],
  ['GPUS', 'all', 'how many GPUs the runtime gets (profile gpu)'],
  ['STOP_GRACE_PERIOD', '45s', 'has to be longer than HEADRACE_DRAIN_MS, by 10 s at least'],
  ['GATEWAY_CPUS', '2', 'most cores of a gateway'],
  ['GATEWAY_MEMORY', '2g', 'most memory of a gateway'],
  ['RUNTIME_CPUS', '0', 'most cores of a runtime; 0: all'],
  ['RUNTIME_MEMORY', '', 'most memory of a runtime; default 8g, with a GPU 16g'],
  ['POSTGRES_MEMORY', '2g', 'most memory of PostgreSQL'],
  ['REDIS_MEMORY', '512m', 'most memory of Redis'],
  ['RABBITMQ_MEMORY', '1g', 'most memory of RabbitMQ'],
  ['PROMETHEUS_MEMORY', '2g', 'most memory of Prometheus'],
  ['PROMETHEUS_RETENTION', '30d', 'how long measurements are kept'],
  ['PROMETHEUS_PUBLISH', '127.0.0.1:9090', 'address of Prometheus on this host'],
  ['ALERTMANAGER_PUBLISH', '127.0.0.1:9093', 'address of Alertmanager on this host'],
  ['GRAFANA_PUBLISH', '127.0.0.1:3000', 'address of Grafana on this host'],
  ['GATEWAY_IMAGE', 'headrace-gateway:0.1.0', 'image of gateways and log-writers'],
  ['RUNTIME_IMAGE', 'headrace-runtime:0.1.0', 'image of the runtime on CPUs, and of imports'],
  ['RUNTIME_CUDA_IMAGE', 'headrace-runtime-cuda:0.1.0', 'image of the runtime on GPUs'],
]

const HEAD = `# Copy this to docker/.env and take the # away from what you change; docker/compose.yaml reads it.
# Made by docker/env-example.ts from the list of settings. Secrets are in docker/secrets/ (docker/make-secrets.sh).`

export function envExample(): string {
  const settings = Object.values<Setting<unknown>>(SETTINGS)
    .filter(({ name }) => !GIVEN_BY_COMPOSE.includes(name))
    .map(entryOf)
  const ofCompose = OF_COMPOSE.map(([name, byDefault, about]) => entry(name, byDefault, about))
  const parts = [
    HEAD,
    '# --- what docker/compose.yaml reads',
    ...ofCompose,
    '# --- settings of gateways, runtimes and log-writers: docs/settings.md',
    ...settings,
  ]
  return `${parts.join('\n\n')}\n`
}

function entryOf({ name, default: byDefault, about }: Setting<unknown>): string {
  const file = SECRET_FILES[name]
  if (file) return `# ${name}: ${about}\n# It is in docker/secrets/${file}.`
  return entry(name, DEFAULTS_OF_COMPOSE[name] ?? byDefault ?? '', about)
}

const entry = (name: string, byDefault: string, about: string) =>
  `# ${about}\n#${name}=${byDefault}`

if (process.argv[1] === fileURLToPath(import.meta.url)) process.stdout.write(envExample())
