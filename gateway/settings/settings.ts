// Every setting of the environment: its name, default, what it is, what is allowed, and how its text is read.
//
// The list is data: config.ts reads the environment by it and docs/settings.md is held against it. A setting that isn't
// here does not exist.
//
// Knows: names and texts. Does not know: process.env, what the settings are used for.
//
// Adding a setting: an entry here, and its line in docs/settings.md.

import {
  claim,
  oneOf,
  readDefaultModel,
  readExtraMetrics,
  readHttpUrl,
  readModelNames,
  readExportUrl,
  readHeaderList,
  readShare,
  readRuntimeUrl,
  readRuntimeUrls,
  secret,
  text,
  whole,
} from './setting-kinds.ts'
import { DEFAULT_PRECISION, PRECISIONS } from '../../models/manifest.ts'
import { BODY_POLICIES } from '../callers/body-policy.ts'
import { readSecretKeys } from '../secrets.ts'
import type { BodyPolicy } from '../callers/body-policy.ts'
import type { ExtraMetrics, Setting } from './setting-kinds.ts'
import type { Precision } from '../../models/manifest.ts'

const LOG_LEVELS = ['fatal', 'error', 'warn', 'info', 'debug', 'trace', 'silent'] as const
export type LogLevel = (typeof LOG_LEVELS)[number]

const KIB = 1024
const MIB = 1024 * KIB
const GIB = 1024 * MIB

export const SETTINGS = {
  host: text({
    name: 'HEADRACE_HOST',
    default: '127.0.0.1',
    about: 'address that the gateway listens on; `0.0.0.0` is every one',
    allowed: 'a host name or an IP address',
    pattern: /^[A-Za-z0-9.:_-]+$/,
  }),
  port: whole({
    name: 'HEADRACE_PORT',
    default: '8080',
    about: 'port that the gateway listens on; 0 takes a free one',
    min: 0,
    max: 65_535,
  }),
  dataDir: text({
    name: 'HEADRACE_DATA_DIR',
    default: './data',
    about: 'folder of everything that is kept: database, models, keys',
    allowed: 'the path of a folder',
    pattern: /^[^\0]+$/,
  }),
  adminKey: secret({
    name: 'HEADRACE_ADMIN_KEY',
    default: null,
    about:
      'key that may call everything; without it one is made and kept in `<data dir>/admin-key`',
  }),
  serverUrl: text({
    name: 'HEADRACE_URL',
    default: null,
    about:
      'server that commands such as `headrace deploy` ask; without it the one that runs on the data folder',
    allowed: 'an address that begins with https:// or http://',
    pattern: /^https?:\/\/\S+$/,
  }),
  apiKey: secret({
    name: 'HEADRACE_API_KEY',
    default: null,
    about: 'key of the role admin that such commands use; without it the admin key',
  }),
  authGraceS: whole({
    name: 'HEADRACE_AUTH_GRACE_S',
    default: '3600',
    about: 'seconds that known callers go on while PostgreSQL, or the issuer of tokens, is away',
    min: 0,
    max: 31_536_000,
  }),
  oidcIssuer: text({
    name: 'HEADRACE_OIDC_ISSUER',
    default: null,
    about: 'OIDC issuer whose tokens are taken beside API keys',
    allowed: 'an address that begins with https:// (http:// on loopback), as the tokens have it',
    pattern: /^https?:\/\/\S+$/,
  }),
  oidcAudience: text({
    name: 'HEADRACE_OIDC_AUDIENCE',
    default: null,
    about: 'audience that tokens have to be for; needed with an issuer',
    allowed: 'a text without spaces',
    pattern: /^\S+$/,
  }),
  oidcJwksUrl: text({
    name: 'HEADRACE_OIDC_JWKS_URL',
    default: null,
    about: "address of the issuer's keys; without it what the issuer's discovery document says",
    allowed: 'an address that begins with https:// (http:// on loopback)',
    pattern: /^https?:\/\/\S+$/,
  }),
  oidcNameClaim: claim(
    'HEADRACE_OIDC_NAME_CLAIM',
    'sub',
    "claim with the caller's name in rows and the audit log; one that its holder can't edit",
  ),
  oidcProjectClaim: claim(
    'HEADRACE_OIDC_PROJECT_CLAIM',
    'project',
    "claim with the project's id or name; `a.b` is `b` within `a`",
  ),
  oidcRoleClaim: claim(
    'HEADRACE_OIDC_ROLE_CLAIM',
    'role',
    'claim with the role, or a list that it is in; without it `caller`',
  ),
  oidcModelsClaim: claim(
    'HEADRACE_OIDC_MODELS_CLAIM',
    'models',
    'claim with the models that may be asked, `*` for any characters; without it all',
  ),
  databaseUrl: text({
    name: 'DATABASE_URL',
    default: null,
    about: 'PostgreSQL to use instead of the embedded one',
    allowed: 'postgresql://user:password@host:port/database',
    pattern: /^postgres(ql)?:\/\/\S+$/,
    isSecret: true,
  }),
  configFile: text({
    name: 'HEADRACE_CONFIG',
    default: null,
    about:
      'file that declares upstreams and models; without it `headrace.yaml` of the working folder, or else of the data folder',
    allowed: 'the path of a file',
    pattern: /^[^\0]+$/,
  }),
  secretKeys: {
    name: 'HEADRACE_SECRET_KEY',
    default: null,
    about:
      "key that upstreams' secrets are stored under; older ones behind it, with commas, still open what they sealed",
    allowed: '32 bytes as base64 or hex, or several with commas between them',
    isSecret: true,
    read: readSecretKeys,
  } satisfies Setting<Buffer[], null>,
  defaultModel: {
    name: 'HEADRACE_DEFAULT_MODEL',
    default: 'smollm2-135m-instruct',
    about: 'model that is brought here at the first start and loaded at every one; or `none`',
    allowed: "a model's name, a source as `models import` takes it, or none",
    read: readDefaultModel,
  } satisfies Setting<string | null, string>,
  precision: oneOf<Precision>({
    name: 'HEADRACE_PRECISION',
    default: DEFAULT_PRECISION,
    about: 'precision of the weights of models that are imported',
    values: PRECISIONS,
  }),
  metricsToken: secret({
    name: 'HEADRACE_METRICS_TOKEN',
    default: null,
    about: 'bearer token of `/metrics`; without it open on loopback, the admin key elsewhere',
  }),
  tracesUrl: text({
    name: 'OTEL_EXPORTER_OTLP_ENDPOINT',
    default: null,
    about: 'collector that traces are sent to, OTLP over HTTP; without it there are none',
    allowed: 'an address such as http://localhost:4318, without /v1/traces',
    pattern: /^https?:\/\/[^\s@?#]+$/,
  }),
  tracesHeaders: {
    name: 'OTEL_EXPORTER_OTLP_HEADERS',
    default: null,
    about: 'what the collector asks for, `name=value,name=value`, values percent-encoded',
    allowed: 'name=value,name=value',
    isSecret: true,
    read: readHeaderList,
  },
  tracesName: text({
    name: 'OTEL_SERVICE_NAME',
    default: 'headrace',
    about: 'what this service is called in traces',
    allowed: 'a text without control characters',
    pattern: /^[\x20-\x7e]+$/,
  }),
  tracesShare: {
    name: 'OTEL_TRACES_SAMPLER_ARG',
    default: '1',
    about:
      'share of the requests that are traced, 0 to 1, where the client has no trace of its own',
    allowed: 'a number from 0 to 1',
    read: readShare,
  },
  metricsExtra: {
    name: 'HEADRACE_METRICS_EXTRA',
    default: 'gen_ai',
    about: 'metrics beyond our own: `gen_ai`, `vllm`, `limits`; see [watching](watching.md)',
    allowed: 'gen_ai, vllm and limits with commas between them, or none',
    read: readExtraMetrics,
  } satisfies Setting<ReadonlySet<ExtraMetrics>, string>,
  logLevel: oneOf<LogLevel>({
    name: 'HEADRACE_LOG_LEVEL',
    default: 'info',
    about: 'least important lines that are logged',
    values: LOG_LEVELS,
  }),
  bodyLimitBytes: whole({
    name: 'HEADRACE_BODY_LIMIT_BYTES',
    default: String(8 * MIB),
    about: 'largest body of a request',
    min: KIB,
    max: GIB,
  }),
  uploadLimitBytes: whole({
    name: 'HEADRACE_UPLOAD_LIMIT_BYTES',
    default: String(512 * MIB),
    about: 'largest file, or part of one, that is passed on to an upstream',
    min: KIB,
    max: 64 * GIB,
  }),
  responsesTtlDays: whole({
    name: 'HEADRACE_RESPONSES_TTL_DAYS',
    default: '30',
    about: 'time that responses are kept to be continued; 0 keeps none',
    min: 0,
    max: 3_650,
  }),
  spoolMaxBytes: whole({
    name: 'HEADRACE_SPOOL_MAX_BYTES',
    default: String(4 * GIB),
    about: 'disk for exchanges that wait while PostgreSQL, or the broker, is away',
    min: MIB,
    max: Number.MAX_SAFE_INTEGER,
  }),
  spoolFull: oneOf({
    name: 'HEADRACE_SPOOL_FULL',
    default: 'drop',
    about: 'when that is full: `drop` new exchanges from the log, or `refuse` new requests',
    values: ['drop', 'refuse'],
  }),
  logBodies: oneOf<BodyPolicy>({
    name: 'HEADRACE_LOG_BODIES',
    default: 'whole',
    about:
      'what is kept of texts where neither a key nor its project says: `whole`, `redacted`, `none`',
    values: BODY_POLICIES,
  }),
  brokerUrl: text({
    name: 'LOG_BROKER_URL',
    default: null,
    about:
      'RabbitMQ that exchanges go to instead of PostgreSQL, for `headrace log-writer`; see [scaling](scaling.md)',
    allowed: 'amqp://user:password@host:port/vhost, or amqps:// with TLS',
    pattern: /^amqps?:\/\/[^\s/]+(\/[^\s/]*)?$/,
    isSecret: true,
  }),
  logWriterListen: {
    name: 'HEADRACE_LOG_WRITER_LISTEN',
    default: 'http://127.0.0.1:8091',
    about: 'where `headrace log-writer` tells its health and metrics',
    allowed: 'http://host:port',
    read: readHttpUrl,
  } satisfies Setting<string, string>,
  exportUrl: {
    name: 'HEADRACE_EXPORT_URL',
    default: null,
    about: 'where exchanges of days that are over go, for a warehouse; see [exports](exports.md)',
    allowed: 'file:///path/of/a/folder or s3://bucket/prefix, without credentials',
    isSecret: true,
    read: readExportUrl,
  } satisfies Setting<string, null>,
  exportBodies: oneOf<'yes' | 'no'>({
    name: 'HEADRACE_EXPORT_BODIES',
    default: 'no',
    about: 'whether their prompts and answers go there too: `yes` or `no`',
    values: ['yes', 'no'],
  }),
  searchLanguage: text({
    name: 'HEADRACE_SEARCH_LANGUAGE',
    default: 'simple',
    about:
      "how words of the exchange log are taken: one of PostgreSQL's text search configurations; or `none`, and no search",
    allowed: 'a name such as simple, english, german, or none',
    pattern: /^[a-z_][a-z0-9_]{0,62}$/,
  }),
  logRetentionDays: whole({
    name: 'HEADRACE_LOG_RETENTION_DAYS',
    default: null,
    about: 'days that exchanges are kept; without it for ever',
    min: 1,
    max: 36_500,
  }),
  logBodiesRetentionDays: whole({
    name: 'HEADRACE_LOG_BODIES_RETENTION_DAYS',
    default: null,
    about: 'days that their prompts and answers are kept; without it as long as they are',
    min: 1,
    max: 36_500,
  }),
  drainMs: whole({
    name: 'HEADRACE_DRAIN_MS',
    default: '30000',
    about: 'time that running answers get to end when the server stops',
    min: 0,
    max: 3_600_000,
  }),
  deploymentKeepS: whole({
    name: 'HEADRACE_DEPLOYMENT_KEEP_S',
    default: '600',
    about:
      'seconds that a version stays loaded after a deployment displaced it, to be gone back to at once',
    min: 5,
    max: 2_592_000,
  }),
  threads: whole({
    name: 'HEADRACE_THREADS',
    default: null,
    about: 'threads of a forward pass; without it one for each core',
    min: 1,
    max: 1024,
  }),
  device: text({
    name: 'HEADRACE_DEVICE',
    default: 'cpu',
    about: 'what a runtime computes on: `cpu`, `cuda`, `cuda:N` or `webgpu`; see [GPUs](gpu.md)',
    allowed: 'cpu, cuda, cuda:N (N a number from 0 to 99) or webgpu',
    pattern: /^(cpu|webgpu|cuda(:\d{1,2})?)$/,
  }),
  runtimeLibrary: text({
    name: 'ONNXRUNTIME_LIB',
    default: null,
    about: 'path of another build of ONNX Runtime; without it the one of its npm package',
    allowed: 'an absolute path',
    pattern: /^\/./,
  }),
  slots: whole({
    name: 'HEADRACE_SLOTS',
    default: '32',
    about: 'sequences that one version computes at once',
    min: 1,
    max: 1024,
  }),
  contextTokens: whole({
    name: 'HEADRACE_CONTEXT',
    default: null,
    about: 'most tokens of a sequence; without it what the model was trained for',
    min: 16,
    max: 16_777_216,
  }),
  kvBytes: whole({
    name: 'HEADRACE_KV_BYTES',
    default: null,
    about: "memory of one version's KV cache; without it a share of the machine's",
    min: MIB,
    max: Number.MAX_SAFE_INTEGER,
  }),
  memoryBytes: whole({
    name: 'HEADRACE_MEMORY_BYTES',
    default: null,
    about: "memory that a runtime's versions may have together; without it most of the machine's",
    min: MIB,
    max: Number.MAX_SAFE_INTEGER,
  }),
  idleUnloadS: whole({
    name: 'HEADRACE_IDLE_UNLOAD_S',
    default: '900',
    about:
      'seconds without a request after which a version that nothing wants is unloaded; 0: never',
    min: 0,
    max: 31_536_000,
  }),
  keepWarm: {
    name: 'HEADRACE_KEEP_WARM',
    default: null,
    about: 'models or versions that stay loaded whether or not they are asked, separated by commas',
    allowed: 'names such as support-chat or support-chat@3, separated by commas',
    read: readModelNames,
  } satisfies Setting<string[], null>,
  hostCopies: whole({
    name: 'HEADRACE_HOST_COPIES',
    default: null,
    about: 'runtimes that a version is loaded on; without it every one that has room',
    min: 1,
    max: 10_000,
  }),
  loadWaitS: whole({
    name: 'HEADRACE_LOAD_WAIT_S',
    default: '30',
    about:
      'seconds that a request waits for its version to be loaded before it is told to come back',
    min: 0,
    max: 3_600,
  }),
  maxWaiting: whole({
    name: 'HEADRACE_MAX_WAITING',
    default: '256',
    about: 'requests that may wait for a slot before the answer is `overloaded`',
    min: 0,
    max: 1_000_000,
  }),
  maxConcurrent: whole({
    name: 'HEADRACE_MAX_CONCURRENT',
    default: '1000',
    about: 'requests in hand at once before the answer is `overloaded`',
    min: 1,
    max: 1_000_000,
  }),
  redisUrl: text({
    name: 'REDIS_URL',
    default: null,
    about: 'Redis in which several gateways share limits and kept answers',
    allowed: 'redis://user:password@host:port/number, or rediss:// with TLS',
    pattern: /^rediss?:\/\/\S+$/,
    isSecret: true,
  }),
  cacheBytes: whole({
    name: 'HEADRACE_CACHE_BYTES',
    default: String(64 * MIB),
    about: 'memory for answers that are kept to be given again',
    min: MIB,
    max: 64 * GIB,
  }),
  runtimeUrls: {
    name: 'RUNTIME_URLS',
    default: null,
    about: 'runtimes to use instead of one of its own, separated by commas',
    allowed: 'addresses http://host:port or unix:/path/of.sock, separated by commas',
    read: readRuntimeUrls,
  } satisfies Setting<string[], null>,
  runtimeListen: {
    name: 'HEADRACE_RUNTIME_LISTEN',
    default: 'http://127.0.0.1:8090',
    about: 'where `headrace runtime` listens',
    allowed: 'http://host:port or unix:/path/of.sock',
    read: readRuntimeUrl,
  } satisfies Setting<string, string>,
  runtimeToken: secret({
    name: 'HEADRACE_RUNTIME_TOKEN',
    default: null,
    about: 'shared by gateway and runtime; needed where a runtime listens beyond loopback',
  }),
  hubToken: text({
    name: 'HF_TOKEN',
    default: null,
    about: 'access token for models of the Hugging Face hub',
    allowed: 'a token without spaces',
    pattern: /^\S+$/,
    isSecret: true,
  }),
  hubUrl: text({
    name: 'HF_ENDPOINT',
    default: null,
    about: 'mirror to use instead of the Hugging Face hub',
    allowed: 'an address that begins with https:// or http://',
    pattern: /^https?:\/\/\S+$/,
  }),
}

/** What the settings are read as; null where one is not set and has no default. */
export type Settings = { [Key in keyof typeof SETTINGS]: Value<(typeof SETTINGS)[Key]> }

type Value<S> = S extends Setting<infer T, infer Default> ? T | Extract<Default, null> : never
