// Versions: live against canary, with what was deployed and taken back in between.

import * as dashboard from '@grafana/grafana-foundation-sdk/dashboard'

import { board, onlyModelVariable, sqlVariable } from './board.ts'
import { figure, heat, lines, rows } from './panels.ts'
import { POSTGRES, failures, quantile, rate, share, sqlQuery } from './queries.ts'

const FIRST = 'headrace_time_to_first_token_seconds'
const SIDES = ['live', 'canary'] as const
type Side = (typeof SIDES)[number]

/** its versions, those of the ledger's newest entry first; without a canary none is, until somebody chooses one */
const versionsSql = (side: Side) => {
  const chosen =
    side === 'live'
      ? "state -> 'targets' -> 0 ->> 'version'"
      : "coalesce(state -> 'canary' ->> 'version', 'none')"
  return `
WITH newest AS (
  SELECT state FROM deployments WHERE model = '$model' AND outcome = 'live' ORDER BY number DESC LIMIT 1
)
SELECT version FROM (
  SELECT 0 AS place, ${chosen} AS version FROM newest
  UNION ALL
  SELECT DISTINCT 1, version FROM report_hours WHERE model = '$model' AND hour > now() - interval '30 days'
) AS versions
WHERE version IS NOT NULL GROUP BY version ORDER BY min(place), version DESC`.trim()
}

const of = (side: Side) => `model="$model", version="$${side}"`
const NAMES = { live: 'live: $live', canary: 'canary: $canary' }
const TITLES = { live: 'Live', canary: 'Canary' }
const EMPTY = { live: 'no traffic', canary: 'no canary' }

const figuresOf = (side: Side) => [
  figure({
    title: `${TITLES[side]}: requests`,
    description: `Requests a second that the ${side} version ends.`,
    unit: 'reqps',
    empty: EMPTY[side],
    span: 3,
    query: { expr: rate('headrace_requests_total', of(side), ''), legend: NAMES[side] },
  }),
  figure({
    title: `${TITLES[side]}: failed`,
    description: `Of what the ${side} version completed or failed, the share that failed.`,
    unit: 'percentunit',
    decimals: 2,
    empty: EMPTY[side],
    span: 3,
    warn: 0.005,
    bad: 0.03,
    query: { expr: failures(of(side), ''), legend: NAMES[side] },
  }),
  figure({
    title: `${TITLES[side]}: first token`,
    description: `Within this time 95 of 100 answers of the ${side} version had begun.`,
    unit: 's',
    decimals: 2,
    empty: EMPTY[side],
    span: 3,
    warn: 0.5,
    bad: 1,
    query: {
      expr: `histogram_quantile(0.95, ${rate(`${FIRST}_bucket`, of(side), 'le')})`,
      legend: NAMES[side],
    },
  }),
  figure({
    title: `${TITLES[side]}: tokens`,
    description: `Tokens of an answer of the ${side} version, on average: one that talks more, or stops too early, is seen here first.`,
    unit: 'short',
    decimals: 0,
    empty: EMPTY[side],
    span: 3,
    query: {
      expr: share(
        rate('headrace_tokens_total', `${of(side)}, direction="completion"`, ''),
        rate('headrace_requests_total', `${of(side)}, outcome="completed"`, ''),
      ),
      legend: NAMES[side],
    },
  }),
]

const both = (expr: (side: Side) => string) =>
  SIDES.map((side) => ({ expr: expr(side), legend: NAMES[side] }))

const compared = [
  lines({
    title: 'Traffic',
    description: 'Requests a second of both: how far the canary has been taken.',
    unit: 'reqps',
    empty: 'no traffic',
    isStacked: true,
    queries: both((side) => rate('headrace_requests_total', of(side), '')),
  }),
  lines({
    title: 'Failed share',
    description:
      'Of what each completed or failed, the share that failed. The guard `error_rate` compares these.',
    unit: 'percentunit',
    empty: 'no traffic',
    warn: 0.005,
    queries: both((side) => failures(of(side), '')),
  }),
  lines({
    title: 'First token, half and 95 %',
    description:
      'Time to first token of both. The guard `time_to_first_token` compares the 95th percentiles.',
    unit: 's',
    empty: 'no traffic',
    queries: [0.5, 0.95].flatMap((part) =>
      SIDES.map((side) => ({
        expr: `histogram_quantile(${part}, ${rate(`${FIRST}_bucket`, of(side), 'le')})`,
        legend: `${NAMES[side]}, ${part * 100} %`,
      })),
    ),
  }),
  lines({
    title: 'Whole answers, 95 %',
    description: 'To the last byte, for 95 of 100. The guard `total` compares these.',
    unit: 's',
    empty: 'no traffic',
    queries: both(
      (side) =>
        `histogram_quantile(0.95, ${rate('headrace_request_duration_seconds_bucket', of(side), 'le')})`,
    ),
  }),
  lines({
    title: 'Between tokens, 95 %',
    description: 'Pace of streamed answers of both.',
    unit: 's',
    empty: 'nothing was streamed',
    queries: both(
      (side) =>
        `histogram_quantile(0.95, ${rate('headrace_inter_token_seconds_bucket', of(side), 'le')})`,
    ),
  }),
  lines({
    title: 'Cost of a thousand requests',
    description: 'What a thousand completed requests cost with each of them.',
    unit: 'currencyUSD',
    empty: 'no prices',
    queries: both(
      (side) =>
        `1000 * ${share(
          rate('headrace_cost_usd_total', of(side), ''),
          rate('headrace_requests_total', `${of(side)}, outcome="completed"`, ''),
        )}`,
    ),
  }),
  ...SIDES.map((side) =>
    heat({
      title: `First tokens, ${side}`,
      description: `How many answers of the ${side} version began how late, a second.`,
      unit: 's',
      empty: EMPTY[side],
      expr: `sum by (le) (rate(${FIRST}_bucket{${of(side)}}[$__rate_interval]))`,
    }),
  ),
]

const all = [
  lines({
    title: 'All versions of the model',
    description:
      'Requests a second by version: shadows are not among them, their answers are nobody’s.',
    unit: 'reqps',
    empty: 'no traffic',
    isStacked: true,
    queries: [
      {
        expr: `sum by (version) (rate(headrace_requests_total{model="$model", version!=""}[$__rate_interval]))`,
        legend: '{{version}}',
      },
    ],
  }),
  lines({
    title: 'First token of all versions, 95 %',
    description:
      'Time to first token by version: whether a new one is slower than those before it.',
    unit: 's',
    empty: 'no traffic',
    queries: [{ expr: quantile(0.95, FIRST, 'model="$model"', 'version'), legend: '{{version}}' }],
  }),
]

const ledger = [
  lines({
    title: 'Live deployment',
    description: 'Number of the ledger’s entry that is live. Each step is a deployment.',
    unit: 'short',
    decimals: 0,
    empty: 'the model is not deployed',
    isSteps: true,
    span: 8,
    queries: [
      { expr: 'max by (model) (headrace_live_deployment{model="$model"})', legend: '{{model}}' },
    ],
  }),
  rows({
    title: 'Ledger',
    description:
      'What was decided for this model, the newest first, in the time that is shown. An entry that failed never got traffic.',
    unit: 'short',
    empty: 'nothing was deployed in this time',
    span: 16,
    height: 8,
    sql: {
      sql: `
SELECT number, at, action, outcome, state -> 'targets' -> 0 ->> 'version' AS live,
  state -> 'canary' ->> 'version' AS canary, (state -> 'canary' ->> 'share')::float AS share,
  actor_name AS by, coalesce(reason, error) AS why
FROM deployments WHERE model = '$model' AND $__timeFilter(at) ORDER BY number DESC LIMIT 100`,
    },
    columns: [
      { name: 'share', unit: 'percentunit' },
      { name: 'number', unit: 'none' },
    ],
  }),
]

function annotation(name: string, colour: string, condition: string) {
  const sql = `
SELECT at AS time, model || ' #' || number || ' ' || action || coalesce(': ' || reason, '') AS text,
  action || ',' || actor_name AS tags
FROM deployments
WHERE model = '$model' AND outcome = 'live' AND ${condition} AND $__timeFilter(at) ORDER BY at`
  return new dashboard.AnnotationQueryBuilder()
    .name(name)
    .datasource(POSTGRES)
    .enable(true)
    .iconColor(colour)
    .target(sqlQuery({ sql }, 0))
}

export const versions = () =>
  board(
    {
      uid: 'headrace-versions',
      title: 'Versions',
      description:
        'The live version of a model against its canary, with deployments and rollbacks.',
    },
    [
      onlyModelVariable(),
      sqlVariable('live', 'Live', versionsSql('live')),
      sqlVariable('canary', 'Canary', versionsSql('canary')),
    ],
    {
      'Live on the left, canary on the right': SIDES.flatMap(figuresOf),
      'Side by side': compared,
      'All versions': all,
      'What was decided': ledger,
    },
  )
    .annotation(annotation('Deployments', 'blue', "action <> 'rollback'"))
    .annotation(annotation('Rollbacks', 'red', "action = 'rollback'"))
