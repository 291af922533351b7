// The Helm chart: its values by its schema always, what it renders where helm is there.

import assert from 'node:assert/strict'
import { execFileSync, spawnSync } from 'node:child_process'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import test from 'node:test'

import { Ajv } from 'ajv'
import { parse, parseAllDocuments } from 'yaml'

import { SETTINGS } from '../../gateway/settings/settings.ts'
import type { Setting } from '../../gateway/settings/setting-kinds.ts'

const CHART = join(import.meta.dirname, '../../docker/helm')
const HELM_IS_ABSENT =
  spawnSync('helm', ['version'], { stdio: 'ignore' }).status !== 0 && 'there is no helm here'
const OPTIONS = { skip: HELM_IS_ABSENT }
/** what a helm that was built without one thinks of is too old */
const KUBERNETES = '1.30.0'
/** of what happens besides draining: the log's last rows, the last words to clients */
const REST_S = 6
const OF_LOG_WRITER = ['DATABASE_URL', 'LOG_BROKER_URL', 'HEADRACE_METRICS_TOKEN']

interface Values {
  secretKeys: string[]
  settings: Record<string, string>
  [name: string]: unknown
}
interface Endpoint {
  relabelings: { targetLabel: string; replacement: string }[]
}
interface Container {
  image: string
  env: { name: string; value: string }[]
  lifecycle?: { preStop: { sleep: { seconds: number } } }
  resources: { limits: Record<string, unknown> }
  securityContext: { readOnlyRootFilesystem: boolean }
  volumeMounts: { name: string; mountPath: string; readOnly?: boolean }[]
}
interface Pod {
  enableServiceLinks: boolean
  terminationGracePeriodSeconds?: number
  containers: [Container]
  volumes: { name: string }[]
}
interface Manifest {
  kind: string
  metadata: { name: string }
  /** a ConfigMap has none */
  spec?: { template?: { spec: Pod }; [name: string]: unknown }
}

const known = new Map(
  Object.values<Setting<unknown>>(SETTINGS).map((setting) => [setting.name, setting]),
)

async function readChart() {
  const values = parse(await readFile(join(CHART, 'values.yaml'), 'utf8')) as Values
  const schema = JSON.parse(await readFile(join(CHART, 'values.schema.json'), 'utf8')) as {
    properties: {
      secretKeys: { items: { enum: string[] } }
      settings: { propertyNames: { not: { enum: string[] } } }
    }
  }
  return { values, schema, isValid: new Ajv({ strict: false, allErrors: true }).compile(schema) }
}

/** What the chart makes of its values and of these. */
function render(values: Record<string, unknown> = {}): Manifest[] {
  const output = execFileSync(
    'helm',
    ['template', 'headrace', CHART, '--kube-version', KUBERNETES, '--values', '-'],
    { encoding: 'utf8', input: JSON.stringify(values), stdio: ['pipe', 'pipe', 'pipe'] },
  )
  return parseAllDocuments(output)
    .map((document) => document.toJS() as Manifest | null)
    .filter((manifest) => manifest !== null)
}

const podsOf = (manifests: Manifest[]) =>
  manifests.flatMap(({ kind, metadata, spec }) =>
    spec?.template ? [{ kind, name: metadata.name, pod: spec.template.spec }] : [],
  )

test('the values of the chart are what their schema allows, and a value that nobody knows is not', async () => {
  const { values, isValid } = await readChart()
  assert(isValid(values), JSON.stringify(isValid.errors))
  assert(!isValid({ ...values, gatway: {} }))
  const withSettings = (settings: object) => isValid({ ...values, settings })
  assert(withSettings({ HEADRACE_SLOTS: '16' }))
  assert(!withSettings({ HEADRACE_SLOTS: 16 }), 'the environment has texts alone')
  assert(!withSettings({ HEADRACE_ADMIN_KEY: 'hr_secret' }), 'a secret belongs into the secret')
  assert(!isValid({ ...values, secretKeys: ['DATABASE_URL'] }))
})

test('the chart knows every setting: secret ones in the secret alone, its own nowhere', async () => {
  const { values, schema, isValid } = await readChart()
  const { settings, secretKeys } = schema.properties
  const secrets = [...known.values()].filter(({ isSecret }) => isSecret).map(({ name }) => name)
  assert.deepEqual(secretKeys.items.enum.toSorted(), secrets.toSorted())
  const refused = settings.propertyNames.not.enum
  for (const name of known.keys()) {
    // The chart makes it of what there is.
    if (name === 'RUNTIME_URLS') continue
    const isTaken = isValid({ ...values, settings: { [name]: 'text' } })
    assert.equal(isTaken, !refused.includes(name), name)
    if (secrets.includes(name)) assert(!isTaken, `${name} is a secret`)
  }
  for (const [name, value] of Object.entries(values.settings)) {
    assert.notEqual(known.get(name)?.read(value), undefined, name)
  }
})

test(
  'each process is given settings that it understands, and secrets as files that it has',
  OPTIONS,
  () => {
    const secretKeys = [...known.values()]
      .filter(({ isSecret }) => isSecret)
      .map(({ name }) => name)
    const pods = podsOf(render({ secretKeys, logWriter: { enabled: true }, config: 'models: {}' }))
    assert.deepEqual(pods.map(({ kind }) => kind).sort(), [
      'Deployment',
      'Deployment',
      'Job',
      'StatefulSet',
    ])
    for (const { name, pod } of pods) {
      const [container] = pod.containers
      for (const { name: variable, value } of container.env) {
        const setting = known.get(variable.replace(/_FILE$/, ''))
        assert(setting, `${name}: ${variable}`)
        if (setting.isSecret) assert.equal(value, `/run/secrets/headrace/${setting.name}`)
        else assert.notEqual(setting.read(value), undefined, `${name}: ${variable} is ${value}`)
      }
      // Kubernetes would make HEADRACE_GATEWAY_PORT of the service's name, which stops every process.
      assert.equal(pod.enableServiceLinks, false, name)
      assert.equal(container.securityContext.readOnlyRootFilesystem, true, name)
      const volumes = new Set(pod.volumes.map((volume) => volume.name))
      for (const mount of container.volumeMounts) assert(volumes.has(mount.name), mount.name)
    }
  },
)

test('a pod gets longer to end than it waits and drains', OPTIONS, () => {
  const settings = { HEADRACE_DRAIN_MS: '90000' }
  for (const { kind, name, pod } of podsOf(render({ settings, gateway: { preStopSeconds: 20 } }))) {
    if (kind === 'Job') continue
    const waits = pod.containers[0].lifecycle?.preStop.sleep.seconds ?? 0
    assert.equal(waits, kind === 'Deployment' ? 20 : 0)
    assert((pod.terminationGracePeriodSeconds ?? 0) >= waits + 90 + REST_S, name)
  }
})

test('with GPUs a runtime is another image and asks for them', OPTIONS, () => {
  const [{ pod } = assert.fail()] = podsOf(render({ runtime: { gpus: 2 } })).filter(
    ({ kind }) => kind === 'StatefulSet',
  )
  assert.match(pod.containers[0].image, /^headrace-runtime-cuda:/)
  assert.equal(pod.containers[0].resources.limits['nvidia.com/gpu'], 2)
})

test('gateways know every runtime that there may come to be', OPTIONS, () => {
  const values = { runtime: { replicas: 2 }, keda: { enabled: true, maxReplicas: 3 } }
  const manifests = render(values)
  const [gateway = assert.fail()] = podsOf(manifests).filter(({ kind }) => kind === 'Deployment')
  const { value } = gateway.pod.containers[0].env.find(({ name }) => name === 'RUNTIME_URLS')!
  assert.deepEqual(
    value.split(','),
    [0, 1, 2].map((index) => `http://headrace-runtime-${index}.headrace-runtime:8090`),
  )
  assert(manifests.some(({ kind }) => kind === 'ScaledObject'))
  const stateful = manifests.find(({ kind }) => kind === 'StatefulSet')
  assert.equal(stateful?.spec?.['replicas'], undefined, 'two would set how many there are')
})

test('a log-writer without a broker is refused in words', OPTIONS, () => {
  assert.throws(
    () => render({ logWriter: { enabled: true } }),
    /secretKeys has to have LOG_BROKER_URL then/,
  )
})

test(
  'a job, which can not be changed, is another one where its pod is another one',
  OPTIONS,
  () => {
    const jobOf = (values: Record<string, unknown>) =>
      render(values).find(({ kind }) => kind === 'Job')?.metadata.name
    const job = jobOf({})
    assert.equal(jobOf({ gateway: { replicas: 3 } }), job)
    for (const values of [
      { settings: { HEADRACE_SLOTS: '16' } },
      { runtime: { resources: { limits: { memory: '16Gi' } } } },
      { imagePullSecrets: [{ name: 'registry' }] },
    ]) {
      assert.notEqual(jobOf(values), job, JSON.stringify(values))
    }
  },
)

test(
  "Prometheus' operator has the jobs and the rules that prometheus.yml has",
  OPTIONS,
  async () => {
    const folder = join(import.meta.dirname, '../../prometheus')
    const read = async (file: string) =>
      parse(await readFile(join(folder, file), 'utf8')) as unknown
    const { scrape_configs } = (await read('prometheus.yml')) as {
      scrape_configs: { job_name: string }[]
    }
    const texts = Object.fromEntries(
      await Promise.all(
        ['alerts', 'recording'].map(
          async (name) =>
            [name, await readFile(join(folder, `rules/${name}.yml`), 'utf8')] as const,
        ),
      ),
    )
    const manifests = render({
      secretKeys: [...OF_LOG_WRITER, 'HEADRACE_ADMIN_KEY', 'HEADRACE_RUNTIME_TOKEN'],
      logWriter: { enabled: true },
      serviceMonitor: { enabled: true },
      prometheusRule: { enabled: true, files: texts },
    })
    const relabelled = manifests.flatMap(({ spec }) => {
      const { endpoints, podMetricsEndpoints } = (spec ?? {}) as Record<string, Endpoint[]>
      return (endpoints ?? podMetricsEndpoints ?? []).flatMap(({ relabelings }) => relabelings)
    })
    assert(relabelled.every(({ targetLabel }) => targetLabel === 'job'))
    const jobs = scrape_configs
      .map(({ job_name }) => job_name)
      .filter((name) => name !== 'prometheus')
    assert.deepEqual(new Set(relabelled.map(({ replacement }) => replacement)), new Set(jobs))
    const rule = manifests.find(({ kind }) => kind === 'PrometheusRule')
    const groups = await Promise.all(
      ['alerts', 'recording'].map((name) => read(`rules/${name}.yml`)),
    )
    assert.deepEqual(
      rule?.spec?.['groups'],
      groups.flatMap((one) => (one as { groups: unknown[] }).groups),
    )
    assert.throws(
      () => render({ prometheusRule: { enabled: true } }),
      /prometheusRule.files has to have the rules/,
    )
  },
)
