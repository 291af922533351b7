// Grafana's own files, held against the compose file that mounts them: there is no Grafana here that would read them.

import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'

import { parse } from 'yaml'

import { ROOT } from '../support/process.ts'
import { readBoards } from '../support/watching.ts'

interface Service {
  ports?: string[]
  volumes: string[]
  secrets: string[]
  networks: string[]
}
interface Datasource {
  uid: string
  type: string
  url: string
  secureJsonData?: Record<string, string>
}

const readYaml = (path: string): unknown =>
  parse(readFileSync(join(ROOT, path), 'utf8'), { merge: true })

const { services } = readYaml('docker/compose.yaml') as { services: Record<string, Service> }
const grafana = services['grafana']!
/** where Grafana sees a path of this repository */
const mounts = new Map(
  grafana.volumes.map((volume) => {
    const [from = '', to = ''] = volume.split(':')
    return [to, from.replace(/^\.\.\//, '')]
  }),
)

test('Grafana looks for its files where the compose file mounts them', () => {
  assert.equal(mounts.get('/etc/grafana/provisioning'), 'grafana/provisioning')
  const { providers } = readYaml('grafana/provisioning/dashboards/headrace.yaml') as {
    providers: { options: { path: string } }[]
  }
  assert.deepEqual(
    providers.map(({ options }) => mounts.get(options.path)),
    ['grafana/dashboards'],
  )
})

test('its datasources are services that it reaches, with secrets that it has', () => {
  const { datasources } = readYaml('grafana/provisioning/datasources/headrace.yaml') as {
    datasources: Datasource[]
  }
  for (const { uid, url, secureJsonData = {} } of datasources) {
    const name = new URL(url.includes('//') ? url : `postgresql://${url}`).hostname
    const service = services[name]
    assert.ok(service, `${uid} is at ${name}, which is no service`)
    assert.ok(
      service.networks.some((network) => grafana.networks.includes(network)),
      `${name} is in no network of Grafana's`,
    )
    for (const secret of Object.values(secureJsonData)) {
      const file = /^\$__file\{\/run\/secrets\/(.+)\}$/.exec(secret)?.[1]
      assert.ok(file && grafana.secrets.includes(file), `${uid} reads ${secret}`)
    }
  }
  const known = new Map(datasources.map(({ uid, type }) => [uid, type]))
  const used = new Map(
    [...JSON.stringify(readBoards()).matchAll(/\{"type":"([^"]+)","uid":"([^"]+)"\}/g)].map(
      ([, type, uid]) => [uid!, type!],
    ),
  )
  used.delete('-- Grafana --')
  assert.deepEqual(Object.fromEntries(used), Object.fromEntries(known))
})
