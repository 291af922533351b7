// Runtime: the engines of local versions, their hosts, and the GPUs under them.

import { board, modelVariable, versionVariable } from './board.ts'
import { figure, lines } from './panels.ts'
import { CHOSEN, engine, engineRate, share } from './queries.ts'

const NONE = 'no version is loaded'
const NO_HOST = 'no runtime is scraped by itself'
const NO_GPU = 'no DCGM exporter is scraped'
const LEGEND = '{{version}}'

function ofEngines(title: string, description: string, unit: string, expr: string) {
  return lines({
    title,
    description,
    unit,
    empty: NONE,
    span: 8,
    queries: [{ expr, legend: LEGEND }],
  })
}

const now = [
  figure({
    title: 'Engines ready',
    description: 'Versions that are loaded and answer.',
    unit: 'short',
    empty: NONE,
    span: 6,
    query: { expr: `count(${engine('up')} > 0) or vector(0)`, legend: 'ready' },
  }),
  figure({
    title: 'Slots used',
    description:
      'Of all slots of the chosen versions, the share that computes now. At 100 % requests wait.',
    unit: 'percentunit',
    empty: NONE,
    warn: 0.8,
    bad: 1,
    span: 6,
    query: { expr: share(`sum(${engine('running')})`, `sum(${engine('slots')})`), legend: 'used' },
  }),
  figure({
    title: 'Answer tokens',
    description: 'Tokens a second that the chosen versions compute together.',
    unit: 'short',
    empty: NONE,
    span: 6,
    query: { expr: `sum(${engineRate('decode_tokens_total')})`, legend: 'tokens' },
  }),
  figure({
    title: 'Restarts today',
    description:
      'Times that an engine died and was started again in 24 hours. Each failed what it was answering.',
    unit: 'short',
    decimals: 0,
    empty: NONE,
    bad: 1,
    span: 6,
    query: {
      expr: `sum(max by (model, version) (increase(headrace_engine_restarts_total{${CHOSEN}}[24h])))`,
      legend: 'restarts',
    },
  }),
]

const load = [
  ofEngines('Running', 'Sequences that have a slot.', 'short', engine('running')),
  ofEngines(
    'Waiting',
    'Sequences that wait for a slot. Above zero for long: the version is at its limit.',
    'short',
    engine('waiting'),
  ),
  ofEngines(
    'Mean batch',
    'Sequences in a forward pass, on average. Throughput grows with it until the hardware is full.',
    'short',
    share(engineRate('step_sequences_total'), engineRate('steps_total')),
  ),
  ofEngines('Steps', 'Forward passes a second.', 'ops', engineRate('steps_total')),
  ofEngines(
    'Prefill',
    'Prompt tokens computed a second.',
    'short',
    engineRate('prefill_tokens_total'),
  ),
  ofEngines(
    'Decode',
    'Answer tokens computed a second.',
    'short',
    engineRate('decode_tokens_total'),
  ),
]

const memory = [
  lines({
    title: 'KV cache used',
    description: 'Share of the KV cache that belongs to running sequences.',
    unit: 'percentunit',
    max: 1,
    empty: NONE,
    span: 8,
    queries: [
      { expr: share(engine('kv_tokens_used'), engine('kv_tokens_capacity')), legend: LEGEND },
    ],
  }),
  lines({
    title: 'Prefix hits',
    description:
      'Of the prompts’ tokens, the share that was still in the KV cache and not computed again.',
    unit: 'percentunit',
    max: 1,
    empty: NONE,
    span: 8,
    queries: [
      {
        expr: share(
          engineRate('cached_tokens_total'),
          `(${engineRate('cached_tokens_total')} + ${engineRate('prefill_tokens_total')})`,
        ),
        legend: LEGEND,
      },
    ],
  }),
  lines({
    title: 'Engine memory',
    description:
      'Memory of the engine processes. They end before the machine has none left, or the kernel ends them.',
    unit: 'bytes',
    empty: NONE,
    span: 8,
    isStacked: true,
    queries: [{ expr: engine('memory_bytes'), legend: LEGEND }],
  }),
  lines({
    title: 'Memory of versions',
    description:
      'Memory that all versions have together on all hosts, against what they may have. Near the budget the next load ends idle versions, or is refused.',
    unit: 'bytes',
    empty: NONE,
    span: 8,
    queries: [
      { expr: 'max(headrace_runtime_memory_used_bytes)', legend: 'used' },
      { expr: 'max(headrace_runtime_memory_budget_bytes)', legend: 'budget' },
      { expr: 'max(headrace_runtime_memory_free_bytes)', legend: 'free on the machines' },
    ],
  }),
  lines({
    title: 'Time in forward passes',
    description:
      'Share of the time in which each engine computes, prompts and answers together. Near 100 % it has no more to give.',
    unit: 'percentunit',
    empty: NONE,
    span: 8,
    queries: [
      {
        expr: `${engineRate('prefill_seconds_total')} + ${engineRate('decode_seconds_total')}`,
        legend: LEGEND,
      },
    ],
  }),
  lines({
    title: 'Time to load',
    description:
      'How long engines took to load their version the last time: what a switch or a restart costs.',
    unit: 's',
    empty: NONE,
    span: 8,
    isSteps: true,
    queries: [{ expr: engine('load_seconds'), legend: LEGEND }],
  }),
]

function ofHosts(title: string, description: string, unit: string, expr: string) {
  return lines({
    title,
    description,
    unit,
    empty: NO_HOST,
    span: 8,
    queries: [{ expr, legend: '{{instance}}' }],
  })
}

const hosts = [
  ofHosts(
    'Sequences by host',
    'Sequences that run on each host. Gateways send each request to the host that has the fewest of theirs.',
    'short',
    'sum by (instance) (headrace_runtime_engine_running)',
  ),
  ofHosts(
    'Engine memory by host',
    'Memory of all engines of each host.',
    'bytes',
    'sum by (instance) (headrace_runtime_engine_memory_bytes)',
  ),
  ofHosts(
    'Event loop of hosts',
    'How late each host’s own event loop is; engines are processes apart. Above 50 ms the machine is short of CPU.',
    's',
    'max by (instance) (headrace_runtime_event_loop_delay_p99_seconds)',
  ),
]

function ofGpus(title: string, description: string, unit: string, expr: string, max?: number) {
  return lines({
    title,
    description,
    unit,
    max,
    empty: NO_GPU,
    span: 8,
    queries: [{ expr, legend: '{{Hostname}} GPU {{gpu}}' }],
  })
}

const gpus = [
  ofGpus(
    'GPU use',
    'Share of the time that something ran on the GPU.',
    'percent',
    'max by (Hostname, gpu) (DCGM_FI_DEV_GPU_UTIL)',
    100,
  ),
  ofGpus(
    'GPU memory',
    'Memory of the GPU that is taken: weights, KV cache, and what the provider keeps.',
    'decmbytes',
    'max by (Hostname, gpu) (DCGM_FI_DEV_FB_USED)',
  ),
  ofGpus(
    'GPU power',
    'What the GPU draws: far below its limit under load, it waits for something.',
    'watt',
    'max by (Hostname, gpu) (DCGM_FI_DEV_POWER_USAGE)',
  ),
]

export const runtime = () =>
  board(
    {
      uid: 'headrace-runtime',
      title: 'Runtime',
      description:
        'Engines of local versions: slots, batches, KV cache, memory; their hosts, and GPUs.',
    },
    [modelVariable(), versionVariable()],
    { Now: now, Load: load, Memory: memory, Hosts: hosts, 'GPUs (DCGM exporter)': gpus },
  )
