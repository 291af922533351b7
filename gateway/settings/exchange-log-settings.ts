// Settings: how large requests may be, what is kept of exchanges, how long and where.

import { oneOf, readHttpUrl, readExportUrl, text, whole } from './setting-kinds.ts'
import { BODY_POLICIES } from '../callers/body-policy.ts'
import type { BodyPolicy } from '../callers/body-policy.ts'
import type { Setting } from './setting-kinds.ts'

const KIB = 1024
const MIB = 1024 * KIB
const GIB = 1024 * MIB

export const EXCHANGE_LOG_SETTINGS = {
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
}
