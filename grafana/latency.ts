// Latency: where the time goes, by model and version.

import { board, modelVariable, versionVariable } from './board.ts'
import { heat, lines } from './panels.ts'
import { CHOSEN, quantile, rate } from './queries.ts'

const FIRST = 'headrace_time_to_first_token_seconds'
const PACE = 'headrace_inter_token_seconds'
const BOTH = 'model, version'
const LEGEND = '{{model}}: {{version}}'

function percentile(share: number, histogram: string, title: string, description: string) {
  return lines({
    title,
    description,
    unit: 's',
    empty: 'no traffic',
    span: 8,
    queries: [{ expr: quantile(share, histogram, CHOSEN, BOTH), legend: LEGEND }],
  })
}

const first = [
  percentile(0.5, FIRST, 'First token, half', 'Half of the answers had begun within this time.'),
  percentile(
    0.95,
    FIRST,
    'First token, 95 %',
    '95 of 100 answers had begun within this time; a second is the objective.',
  ),
  percentile(
    0.99,
    FIRST,
    'First token, 99 %',
    '99 of 100. Where it is far from the 95th, a few wait for something: a queue, a version that is loaded.',
  ),
]

const heatmaps = [
  heat({
    title: 'First tokens of $version',
    description:
      'How many answers a second began how late. Two bands are two kinds of requests, such as long and short prompts.',
    unit: 's',
    empty: 'no traffic',
    repeat: 'version',
    expr: `sum by (le) (rate(${FIRST}_bucket{${CHOSEN}}[$__rate_interval]))`,
  }),
  heat({
    title: 'Between tokens of $version',
    description:
      'How many tokens a second came how long after the one before. It rises as a whole with the load; a second band is an engine that is held up.',
    unit: 's',
    decimals: 3,
    empty: 'nothing was streamed',
    repeat: 'version',
    expr: `sum by (le) (rate(${PACE}_bucket{${CHOSEN}}[$__rate_interval]))`,
  }),
]

const pace = [
  percentile(
    0.5,
    PACE,
    'Between tokens, half',
    'The usual time from one token of a streamed answer to the next.',
  ),
  percentile(
    0.95,
    PACE,
    'Between tokens, 95 %',
    'A reader sees pauses above 0.1 s. A jump at constant load is an engine in trouble.',
  ),
  percentile(
    0.95,
    'headrace_request_duration_seconds',
    'Whole answers, 95 %',
    'To the last byte of answers that completed. Long answers take long: compare with the tokens of an answer.',
  ),
]

const reasons = [
  percentile(
    0.95,
    'headrace_queue_seconds',
    'Queue, 95 %',
    'Wait for a slot of a local version. Above zero for long: more slots, or another host.',
  ),
  percentile(
    0.95,
    'headrace_prefill_seconds',
    'Prefill, 95 %',
    'Reading the prompt, of local versions. Grows with tokens that were not in the KV cache.',
  ),
  percentile(
    0.95,
    'headrace_decode_seconds',
    'Decode, 95 %',
    'Writing the answer, of local versions, from its first token on.',
  ),
  lines({
    title: 'Our own overhead',
    description:
      'Of the time to the first token, what was not spent waiting for a target: authentication, limits, routing.',
    unit: 's',
    empty: 'no traffic',
    span: 8,
    queries: [0.5, 0.95, 0.99].map((share) => ({
      expr: `histogram_quantile(${share}, sum by (le) (rate(headrace_overhead_seconds_bucket[$__rate_interval])))`,
      legend: `${share * 100} %`,
    })),
  }),
  lines({
    title: 'First piece from upstreams, 95 %',
    description:
      'From asking an upstream, or the runtime (`local`), to the first piece of its answer: what it takes without anything of ours.',
    unit: 's',
    empty: 'no traffic',
    span: 8,
    queries: [
      {
        expr: quantile(0.95, 'headrace_target_first_delta_seconds', '', 'upstream'),
        legend: '{{upstream}}',
      },
    ],
  }),
  lines({
    title: 'Attempts that failed, by result',
    description:
      'Targets that were asked and could not answer, by the code of why. Clients see it only where no other target could.',
    unit: 'reqps',
    empty: 'every target answered',
    span: 8,
    queries: [
      {
        expr: rate(
          'headrace_attempts_total',
          'result!="answered", version=~"$version"',
          'version, result',
        ),
        legend: '{{version}}: {{result}}',
      },
    ],
  }),
]

export const latency = () =>
  board(
    {
      uid: 'headrace-latency',
      title: 'Latency',
      description:
        'Time to first token, between tokens, queue, prefill, decode and our own overhead, by model and version.',
    },
    [modelVariable(), versionVariable()],
    {
      'Time to first token': first,
      'Between tokens, and whole answers': pace,
      'Where the time goes': reasons,
      'How it is spread, for each version': heatmaps,
    },
  )
