// Settings: what is told to those who watch: metrics, traces, lines of the log.

import {
  oneOf,
  readExtraMetrics,
  readHeaderList,
  readShare,
  secret,
  text,
} from './setting-kinds.ts'
import type { ExtraMetrics, Setting } from './setting-kinds.ts'

const LOG_LEVELS = ['fatal', 'error', 'warn', 'info', 'debug', 'trace', 'silent'] as const
export type LogLevel = (typeof LOG_LEVELS)[number]

export const WATCHING_SETTINGS = {
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
}
