// What is told beyond our own names, and what came with it: budgets, fallbacks, broken streams, the disk, deployments.

import assert from 'node:assert/strict'
import { tmpdir } from 'node:os'
import { test } from 'node:test'

import { answered, createMetrics, NO_LIMITS, samples } from '../support/metrics.ts'
import { ScriptedRuntime } from '../support/scripted-runtime.ts'

const OF = 'gen_ai_operation_name="chat",gen_ai_provider_name="headrace",gen_ai_request_model="m"'

test("OpenTelemetry's names have its attributes and bounds", async () => {
  const metrics = createMetrics({ extra: new Set(['gen_ai'] as const) })
  metrics.closed(answered('m', 'm@1'))
  const failure = { outcome: 'failed', errorCode: 'engine_lost' } as const
  metrics.closed(answered('m', 'm@1', failure))
  const asked = { upstream: 'openai', route: '/v1/embeddings', completionTokens: null }
  metrics.closed(answered('e', 'e@openai', asked))
  const text = await metrics.render()

  const duration = samples(text, 'gen_ai_server_request_duration_seconds_bucket')
  assert.equal(duration.get(`{le="0.64",${OF}}`), 0)
  assert.equal(duration.get(`{le="1.28",${OF}}`), 1)
  assert.equal(duration.get(`{le="81.92",${OF},error_type="engine_lost"}`), 1)
  const firstToken = samples(text, 'gen_ai_server_time_to_first_token_seconds_bucket')
  assert.equal(firstToken.get(`{le="0.04",${OF}}`), 0)
  assert.equal(firstToken.get(`{le="0.06",${OF}}`), 1, 'only what succeeded has one')
  const pace = samples(text, 'gen_ai_server_time_per_output_token_seconds_sum')
  assert.equal(pace.get(`{${OF}}`), 0.015)
  const tokens = samples(text, 'gen_ai_client_token_usage_sum')
  assert.equal(tokens.get(`{${OF},gen_ai_token_type="input"}`), 240)
  assert.equal(tokens.get(`{${OF},gen_ai_token_type="output"}`), 120)
  assert.match(text, /gen_ai_operation_name="embeddings",gen_ai_provider_name="openai"/)
})

test('an upstream that answers whole has said nothing of its first token', async () => {
  const metrics = createMetrics({ extra: new Set(['gen_ai'] as const) })
  const upstream = { upstream: 'openai', timeToFirstTokenMs: 8_000, totalMs: 8_000 }
  metrics.closed(answered('m', 'm@openai', { ...upstream, streamed: false }))
  const counts = async () => {
    const text = await metrics.render()
    return [
      ...samples(text, 'headrace_time_to_first_token_seconds_count').values(),
      ...samples(text, 'gen_ai_server_time_to_first_token_seconds_count').values(),
    ]
  }
  assert.deepEqual(await counts(), [])
  metrics.closed(answered('m', 'm@openai', { ...upstream, streamed: true }))
  assert.deepEqual(await counts(), [1, 1])
  // An engine of ours tells the first token of a whole answer too.
  metrics.closed(answered('m', 'm@openai', { upstream: 'local', streamed: false }))
  assert.deepEqual((await counts())[0], 2)
})

test("vLLM's names are there for dashboards made for it, and only where they are asked for", async () => {
  const runtime = new ScriptedRuntime(['m@1', 'm@2'])
  runtime.engine = { running: 2, waiting: 1, kvTokensUsed: 4_096, cachedTokens: 30 }
  const metrics = createMetrics({ runtime, extra: new Set(['vllm'] as const) })
  metrics.closed(answered('m', 'm@1'))
  metrics.closed(answered('elsewhere', 'elsewhere@openai', { upstream: 'openai' }))
  metrics.paceOf('m', 'm@1')(0.02)
  const text = await metrics.render()
  const of = '{model_name="m"}'
  assert.equal(samples(text, 'vllm:num_requests_running').get(of), 4)
  assert.equal(samples(text, 'vllm:num_requests_waiting').get(of), 2)
  assert.equal(samples(text, 'vllm:gpu_cache_usage_perc').get(of), 0.25)
  assert.equal(samples(text, 'vllm:kv_cache_usage_perc').get(of), 0.25)
  assert.equal(samples(text, 'vllm:prefix_cache_hits_total').get(of), 60)
  assert.equal(samples(text, 'vllm:prompt_tokens_total').get(of), 120)
  assert.equal(samples(text, 'vllm:generation_tokens_total').get(of), 60)
  for (const name of [
    'time_to_first_token_seconds',
    'time_per_output_token_seconds',
    'e2e_request_latency_seconds',
    'request_queue_time_seconds',
    'request_prefill_time_seconds',
    'request_decode_time_seconds',
    'request_prompt_tokens',
    'request_generation_tokens',
    'request_max_num_generation_tokens',
  ]) {
    assert.equal(samples(text, `vllm:${name}_count`).get(of), 1, name)
  }
  const success = samples(text, 'vllm:request_success_total')
  assert.deepEqual([...success], [['{model_name="m",finished_reason="stop"}', 1]])
  assert.doesNotMatch(await createMetrics({ runtime }).render(), /vllm:/)
})

test('a budget that is half used is told, and what is left of each limit where it is asked for', async () => {
  const standing = (name: string, used: number) => ({
    labels: { owner: 'key', name, limit: 'dailyUsd' },
    isBudget: true,
    used: used * 1e9,
    limit: 10e9,
    unit: 1e9,
  })
  const rate = { labels: { owner: 'key', name: 'a', limit: 'requestsPerMinute' }, isBudget: false }
  const standings = () => [
    standing('a', 9.5),
    standing('b', 4),
    { ...rate, used: 20, limit: 60, unit: 1 },
  ]
  const limits = { ...NO_LIMITS, limits: { ...NO_LIMITS.limits, standings } }
  const plain = await createMetrics({ limits }).render()
  const near = '{owner="key",name="a",limit="dailyUsd"}'
  assert.deepEqual([...samples(plain, 'headrace_budget_used_ratio')], [[near, 0.95]])
  assert.doesNotMatch(plain, /headrace_limit_remaining/)
  const extra = new Set(['limits'] as const)
  const left = samples(await createMetrics({ limits, extra }).render(), 'headrace_limit_remaining')
  assert.deepEqual([...left.values()], [0.5, 6, 40])
})

test('who could not answer is counted where another was asked, and so is what broke off', async () => {
  const metrics = createMetrics()
  const attempt = (version: string, error: string | null) => ({
    version,
    upstream: 'openai',
    ms: 5,
    error,
    detail: null,
  })
  const attempts = [attempt('m@1', 'upstream_timeout'), attempt('m@2', null)]
  metrics.closed(answered('m', 'm@2', { attempts }))
  metrics.closed(answered('m', 'm@1', { outcome: 'failed', errorCode: 'upstream_timeout' }))
  const text = await metrics.render()
  const fallbacks = samples(text, 'headrace_fallbacks_total')
  assert.deepEqual([...fallbacks], [['{model="m",version="m@1",result="answered"}', 1]])
  const broken = samples(text, 'headrace_broken_streams_total')
  assert.deepEqual([...broken], [['{code="upstream_timeout",model="m",version="m@1"}', 1]])
  const refused = samples(text, 'headrace_errors_total')
  const failed = '{code="upstream_timeout",outcome="failed",model="m",version="m@1"}'
  assert.equal(refused.get(failed), 1)
  assert.equal(samples(text, 'headrace_cost_usd_total').get('{model="m",version="m@1"}'), 0.0012)
  assert.equal(samples(text, 'headrace_overhead_seconds_count').get(''), 2)
})

test('deployments are counted by what was decided, and the live one is named', async () => {
  const metrics = createMetrics({
    deployments: {
      live: { list: () => [{ model: 'm', number: 7 }] },
      ledger: {
        counts: () => [
          { model: 'm', action: 'deploy', outcome: 'live', count: 5 },
          { model: 'm', action: 'rollback', outcome: 'live', count: 2 },
        ],
      },
    },
  })
  const text = await metrics.render()
  const rollback = '{model="m",action="rollback",outcome="live"}'
  assert.equal(samples(text, 'headrace_deployments_total').get(rollback), 2)
  assert.equal(samples(text, 'headrace_live_deployment').get('{model="m"}'), 7)
})

test('the disk of the data folder is on the page, and a folder that is gone takes nothing with it', async () => {
  const text = await createMetrics({ dataDir: tmpdir() }).render()
  const [free] = samples(text, 'headrace_data_disk_free_bytes').values()
  const [size] = samples(text, 'headrace_data_disk_size_bytes').values()
  assert.ok(free! > 0 && size! >= free!)
  const without = await createMetrics({ dataDir: '/no/such/folder' }).render()
  assert.equal(samples(without, 'headrace_data_disk_free_bytes').size, 0)
  assert.match(without, /headrace_build_info/)
})
