// Overview: is it well, how much is asked, what does it cost.

import { board, modelVariable, versionVariable } from './board.ts'
import { bars, figure, lines } from './panels.ts'
import { CHOSEN, failures, increase, quantile, rate, share } from './queries.ts'

const QUIET = 'no traffic'

const now = [
  figure({
    title: 'Requests',
    description: 'Requests a second that ended, whatever became of them.',
    unit: 'reqps',
    empty: QUIET,
    query: { expr: rate('headrace_requests_total', CHOSEN, ''), legend: 'requests' },
  }),
  figure({
    title: 'Failed',
    description:
      'Of what was completed or failed, the share that failed: our fault or an upstream’s. 0.5 % may, over 30 days.',
    unit: 'percentunit',
    decimals: 2,
    empty: QUIET,
    warn: 0.005,
    bad: 0.03,
    query: { expr: `sum(${failures(CHOSEN, '')}) or vector(0)`, legend: 'failed' },
  }),
  figure({
    title: 'First token, 95 %',
    description: 'Within this time 95 of 100 answers had begun. A second is the objective.',
    unit: 's',
    decimals: 2,
    empty: QUIET,
    warn: 0.5,
    bad: 1,
    query: {
      expr: `histogram_quantile(0.95, ${rate('headrace_time_to_first_token_seconds_bucket', CHOSEN, 'le')})`,
      legend: 'p95',
    },
  }),
  figure({
    title: 'Answer tokens',
    description: 'Tokens of answers a second.',
    unit: 'short',
    empty: QUIET,
    query: {
      expr: rate('headrace_tokens_total', `${CHOSEN}, direction="completion"`, ''),
      legend: 'tokens',
    },
  }),
  figure({
    title: 'Cost an hour',
    description: 'What answers cost an hour at the present pace, by the prices of their targets.',
    unit: 'currencyUSD',
    decimals: 2,
    empty: 'no prices',
    query: { expr: `3600 * ${rate('headrace_cost_usd_total', CHOSEN, '')}`, legend: 'cost' },
  }),
  figure({
    title: 'In flight',
    description: 'Requests that are open now, of all gateways: waiting, computed or streamed.',
    unit: 'short',
    empty: 'no gateway is scraped',
    query: { expr: 'sum(headrace_requests_in_flight)', legend: 'in flight' },
  }),
]

const traffic = [
  lines({
    title: 'Requests by version',
    description:
      'Requests a second by what answered them. A deployment is one colour giving way to another.',
    unit: 'reqps',
    empty: QUIET,
    isStacked: true,
    queries: [
      {
        expr: rate('headrace_requests_total', `${CHOSEN}, version!=""`, 'version'),
        legend: '{{version}}',
      },
    ],
  }),
  lines({
    title: 'Requests by outcome',
    description:
      'Completed; cancelled: the client left; failed: our fault; refused: wrong, not allowed or over a limit.',
    unit: 'reqps',
    empty: QUIET,
    isStacked: true,
    colours: { completed: 'green', cancelled: 'blue', failed: 'red', refused: 'yellow' },
    queries: [{ expr: rate('headrace_requests_total', '', 'outcome'), legend: '{{outcome}}' }],
  }),
  lines({
    title: 'Failed share by version',
    description:
      'Of what each version was asked and did not refuse, the share that failed. The line at 0.5 % is the objective.',
    unit: 'percentunit',
    empty: QUIET,
    warn: 0.005,
    bad: 0.03,
    queries: [{ expr: failures(CHOSEN, 'version'), legend: '{{version}}' }],
  }),
  lines({
    title: 'Failures by code',
    description:
      'What clients were told where it was our fault: codes of gateway/errors.ts, in each stretch of time.',
    unit: 'short',
    empty: 'nothing failed',
    isStacked: true,
    isBars: true,
    queries: [
      {
        expr: increase('headrace_errors_total', 'outcome="failed"', 'code') + ' > 0',
        legend: '{{code}}',
      },
    ],
  }),
  lines({
    title: 'Refusals by reason',
    description:
      'What clients were told where it was theirs, or a limit’s: rate_limit_exceeded, insufficient_quota, overloaded, and what was wrong with requests.',
    unit: 'reqps',
    empty: 'nothing was refused',
    isStacked: true,
    queries: [
      { expr: rate('headrace_errors_total', 'outcome="refused"', 'code'), legend: '{{code}}' },
    ],
  }),
  lines({
    title: 'Fallbacks',
    description:
      'Requests for which another target was asked, by the version that could not answer, and whether another one did.',
    unit: 'reqps',
    empty: 'the first target always answered',
    queries: [
      {
        expr: rate('headrace_fallbacks_total', CHOSEN, 'version, result'),
        legend: '{{version}}: {{result}}',
      },
    ],
  }),
]

const speed = [
  lines({
    title: 'First token, 95 %, by version',
    description:
      'From a request’s arrival to the first piece of its answer, for 95 of 100. Why: the dashboard Latency.',
    unit: 's',
    empty: QUIET,
    bad: 1,
    queries: [
      {
        expr: quantile(0.95, 'headrace_time_to_first_token_seconds', CHOSEN, 'version'),
        legend: '{{version}}',
      },
    ],
  }),
  lines({
    title: 'Tokens',
    description: 'Tokens a second: of prompts (cached ones apart) and of answers.',
    unit: 'short',
    empty: QUIET,
    isStacked: true,
    queries: [
      {
        expr: `${rate('headrace_tokens_total', `${CHOSEN}, direction="prompt"`, '')} - (${rate('headrace_tokens_total', `${CHOSEN}, direction="cached"`, '')} or vector(0))`,
        legend: 'prompt, computed',
      },
      {
        expr: rate('headrace_tokens_total', `${CHOSEN}, direction="cached"`, ''),
        legend: 'prompt, cached',
      },
      {
        expr: rate('headrace_tokens_total', `${CHOSEN}, direction="completion"`, ''),
        legend: 'answer',
      },
    ],
  }),
  lines({
    title: 'Cost an hour by version',
    description:
      'What answers cost an hour at the present pace. Versions without a price cost nothing here.',
    unit: 'currencyUSD',
    empty: 'no prices',
    isStacked: true,
    queries: [
      {
        expr: `3600 * ${rate('headrace_cost_usd_total', CHOSEN, 'version')}`,
        legend: '{{version}}',
      },
    ],
  }),
  lines({
    title: 'Answers from the cache',
    description: 'Of the questions that the response cache was asked for, the share that it had.',
    unit: 'percentunit',
    max: 1,
    empty: 'no model is cached',
    queries: [
      {
        expr: share(
          'sum(rate(headrace_response_cache_hits_total[$__rate_interval]))',
          '(sum(rate(headrace_response_cache_hits_total[$__rate_interval])) + sum(rate(headrace_response_cache_misses_total[$__rate_interval])))',
        ),
        legend: 'hits',
      },
    ],
  }),
]

const house = [
  lines({
    title: 'Circuit breakers',
    description:
      'Targets that are left alone (2) or tried again (1); those that are well (0) are not shown.',
    unit: 'short',
    max: 2,
    decimals: 0,
    empty: 'every target is asked',
    isSteps: true,
    span: 8,
    queries: [
      {
        expr: 'max by (version, upstream) (headrace_target_state) > 0',
        legend: '{{version}} at {{upstream}}',
      },
    ],
  }),
  lines({
    title: 'Exchange log: oldest that waits',
    description:
      'For how long the oldest exchange has waited to be written. Seconds are usual; minutes: PostgreSQL, or the broker, is away.',
    unit: 's',
    warn: 60,
    empty: 'no gateway is scraped',
    span: 8,
    queries: [
      { expr: 'max by (instance) (headrace_exchange_log_lag_seconds)', legend: '{{instance}}' },
    ],
  }),
  bars({
    title: 'Room',
    description: 'How full the spool of the exchange log and the disk of the data folder are.',
    unit: 'percentunit',
    max: 1,
    warn: 0.5,
    bad: 0.9,
    empty: 'no gateway is scraped',
    span: 8,
    query: {
      expr: 'label_replace(max by (instance) (headrace_exchange_log_spool_bytes / headrace_exchange_log_spool_max_bytes), "what", "spool", "", "") or label_replace(max by (instance) (1 - headrace_data_disk_free_bytes / headrace_data_disk_size_bytes), "what", "disk", "", "")',
      legend: '{{what}} of {{instance}}',
    },
  }),
  lines({
    title: 'Exchanges that wait',
    description: 'Exchanges that are in the spool and not in PostgreSQL, or with the broker, yet.',
    unit: 'short',
    empty: 'no gateway is scraped',
    span: 8,
    queries: [
      { expr: 'sum by (instance) (headrace_exchange_log_pending)', legend: '{{instance}}' },
    ],
  }),
  lines({
    title: 'Exchanges lost',
    description:
      'Exchanges that were given up or set aside. Anything above zero is lost accounting: see the runbook HeadraceExchangesLost.',
    unit: 'short',
    bad: 1,
    decimals: 0,
    empty: 'no gateway is scraped',
    isBars: true,
    span: 8,
    queries: [
      {
        expr: 'sum by (instance) (increase(headrace_exchange_log_dropped_total[$__interval])) + sum by (instance) (increase(headrace_exchange_log_damaged_total[$__interval]))',
        legend: '{{instance}}',
      },
    ],
  }),
  lines({
    title: 'Event loop delay',
    description:
      '99th percentile of how late the gateway’s event loop is. Above 50 ms it is short of CPU.',
    unit: 's',
    warn: 0.05,
    empty: 'no gateway is scraped',
    span: 8,
    queries: [
      { expr: 'max by (instance) (headrace_event_loop_delay_p99_seconds)', legend: '{{instance}}' },
    ],
  }),
]

export const overview = () =>
  board(
    {
      uid: 'headrace-overview',
      title: 'Overview',
      description: 'Traffic, errors, latency, tokens, cost, and the gateway itself.',
    },
    [modelVariable(), versionVariable()],
    { Now: now, Traffic: traffic, 'Speed and use': speed, 'The gateway': house },
  )
