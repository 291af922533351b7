// Callers: who uses what, what it costs, who is near a limit. By the hour, from PostgreSQL.

import { board, modelOfHoursVariable, NONE, projectVariable } from './board.ts'
import { bars, figure, lines, rows } from './panels.ts'

const HOURS = `
FROM report_hours
WHERE $__timeFilter(hour) AND coalesce(project_name, '${NONE}') IN (\${project:sqlstring})
  AND coalesce(model, '${NONE}') IN (\${model:sqlstring})`
const CALLER = "coalesce(caller_name, caller_id, '(admin key)')"
const QUIET = 'nothing was asked in this time'

function sum(title: string, description: string, unit: string, what: string) {
  return figure({
    title,
    description,
    unit,
    empty: QUIET,
    span: 6,
    decimals: unit === 'currencyUSD' ? 2 : 0,
    sql: { sql: `SELECT sum(${what})::float AS value ${HOURS}` },
  })
}

function hourly(title: string, description: string, unit: string, by: string, what: string) {
  return lines({
    title,
    description,
    unit,
    empty: QUIET,
    isStacked: true,
    isBars: true,
    sql: {
      sql: `SELECT hour AS time, ${by} AS metric, sum(${what})::float AS value ${HOURS}\nGROUP BY 1, 2 ORDER BY 1, 2`,
    },
  })
}

const sums = [
  sum('Requests', 'Requests in this time.', 'short', 'requests'),
  sum(
    'Tokens',
    'Tokens of prompts and answers, as budgets count them.',
    'short',
    'prompt_tokens + completion_tokens',
  ),
  sum('Cost', 'What it cost, by the prices of targets.', 'currencyUSD', 'cost_usd'),
  figure({
    title: 'Callers',
    description: 'Keys and holders of tokens that asked anything.',
    unit: 'short',
    decimals: 0,
    empty: QUIET,
    span: 6,
    sql: { sql: `SELECT count(DISTINCT ${CALLER})::float AS value ${HOURS}` },
  }),
]

const use = [
  hourly(
    'Cost by caller',
    'US dollars in each hour. Whose bar grows is who to ask.',
    'currencyUSD',
    CALLER,
    'cost_usd',
  ),
  hourly(
    'Cost by project',
    'US dollars in each hour by project.',
    'currencyUSD',
    `coalesce(project_name, '${NONE}')`,
    'cost_usd',
  ),
  hourly(
    'Requests by caller',
    'Requests in each hour, refused ones too.',
    'short',
    CALLER,
    'requests',
  ),
  hourly(
    'Tokens by caller',
    'Tokens of prompts and answers in each hour.',
    'short',
    CALLER,
    'prompt_tokens + completion_tokens',
  ),
  hourly(
    'Tokens by model',
    'Which models the chosen projects use.',
    'short',
    `coalesce(model, '${NONE}')`,
    'prompt_tokens + completion_tokens',
  ),
  hourly(
    'Refused by caller',
    'Requests that were wrong, not allowed or over a limit, in each hour.',
    'short',
    CALLER,
    'refused',
  ),
]

const everybody = [
  rows({
    title: 'Everybody',
    description: 'All callers of this time, the dearest first.',
    unit: 'short',
    empty: QUIET,
    sql: {
      sql: `
SELECT ${CALLER} AS caller, coalesce(project_name, '${NONE}') AS project, sum(requests)::float AS requests,
  sum(failed)::float / nullif(sum(completed + failed), 0) AS failed, sum(refused)::float AS refused,
  sum(prompt_tokens)::float AS prompt_tokens, sum(cached_tokens)::float / nullif(sum(prompt_tokens), 0) AS cached,
  sum(completion_tokens)::float AS completion_tokens, sum(cost_usd)::float AS cost
${HOURS}
GROUP BY 1, 2 ORDER BY cost DESC NULLS LAST, requests DESC LIMIT 200`,
    },
    columns: [
      { name: 'failed', unit: 'percentunit' },
      { name: 'cached', unit: 'percentunit' },
      { name: 'cost', unit: 'currencyUSD', isBar: true },
    ],
  }),
]

const SWITCH = 'Told with HEADRACE_METRICS_EXTRA=limits.'
const NOT_TOLD = 'HEADRACE_METRICS_EXTRA does not have limits'

function left(matchers: string): string {
  return `bottomk(20, min by (owner, name, limit) (headrace_limit_remaining{${matchers}}))`
}

const limits = [
  bars({
    title: 'Budgets',
    description:
      'Keys and projects that have used half of a budget of their day or month. At 100 % they are refused.',
    unit: 'percentunit',
    max: 1,
    warn: 0.75,
    bad: 0.9,
    empty: 'nobody has used half of a budget',
    query: {
      expr: 'sort_desc(max by (owner, name, limit) (headrace_budget_used_ratio))',
      legend: '{{owner}} {{name}}: {{limit}}',
    },
  }),
  lines({
    title: 'Refused by limit',
    description:
      'Requests a second that a limit refused, by which. `overloaded` is that of the whole gateway.',
    unit: 'reqps',
    empty: 'no limit was reached',
    isStacked: true,
    queries: [
      {
        expr: 'sum by (limit) (rate(headrace_limits_refused_total[$__rate_interval]))',
        legend: '{{limit}}',
      },
    ],
  }),
  lines({
    title: 'Money left',
    description: `What is left of budgets of money, of callers that were seen lately; the least is worth a look. ${SWITCH}`,
    unit: 'currencyUSD',
    empty: NOT_TOLD,
    queries: [{ expr: left('limit=~".*Usd"'), legend: '{{owner}} {{name}}: {{limit}}' }],
  }),
  lines({
    title: 'Tokens and requests left',
    description: `What is left of limits of tokens and requests, of callers that were seen lately. ${SWITCH}`,
    unit: 'short',
    empty: NOT_TOLD,
    isLogarithmic: true,
    queries: [{ expr: left('limit!~".*Usd"'), legend: '{{owner}} {{name}}: {{limit}}' }],
  }),
]

export const callers = () =>
  board(
    {
      uid: 'headrace-callers',
      title: 'Callers',
      description: 'Use, cost and limits by caller and project, by the hour.',
      from: 'now-24h',
    },
    [projectVariable(), modelOfHoursVariable()],
    { 'In this time': sums, 'By the hour': use, Callers: everybody, Limits: limits },
  )
