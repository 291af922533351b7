// An upstream's certificate, as far as it is looked at: until when it is good.

import assert from 'node:assert/strict'
import { createServer } from 'node:https'
import type { AddressInfo } from 'node:net'
import { getCACertificates, setDefaultCACertificates } from 'node:tls'
import { test } from 'node:test'

import { UpstreamHttp } from '../../../gateway/backends/upstream/http.ts'
import { CERTIFICATE, CERTIFICATE_ENDS, CERTIFICATE_KEY } from '../../support/certificate.ts'
import { createMetrics, samples } from '../../support/metrics.ts'

const DAY_MS = 86_400_000

test("until when an upstream's certificate is good is known once it was asked", async (t) => {
  setDefaultCACertificates([...getCACertificates('default'), CERTIFICATE])
  const server = createServer({ cert: CERTIFICATE, key: CERTIFICATE_KEY }, (_request, response) => {
    response.writeHead(200).end('{}')
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as AddressInfo
  const http = new UpstreamHttp({ baseUrl: `https://localhost:${port}/v1`, headers: {} })
  t.after(async () => {
    await http.close()
    server.close()
  })
  const declared = {
    fileState: () => null,
    storedState: () => ({ problems: [], isReachable: true }),
    *certificates() {
      const endsMs = http.certificateEndsMs
      if (endsMs !== null) yield { upstream: 'there', endsMs }
    },
  }
  const metrics = createMetrics({ declared })
  t.after(() => metrics.close())
  const name = 'headrace_upstream_certificate_expiry_timestamp_seconds'
  assert.equal(samples(await metrics.render(), name).size, 0)
  const response = await http.post('/x', {}, { signal: AbortSignal.timeout(5_000) })
  assert.equal(response.status, 200)
  await response.text()
  const told = samples(await metrics.render(), name)
  assert.deepEqual([...told], [['{upstream="there"}', CERTIFICATE_ENDS.getTime() / 1000]])

  // It may have been renewed since: who is asked no more has no certificate to be woken for.
  t.mock.timers.enable({ apis: ['Date'], now: Date.now() + 6 * DAY_MS })
  assert.equal(samples(await metrics.render(), name).size, 1)
  t.mock.timers.tick(2 * DAY_MS)
  assert.equal(samples(await metrics.render(), name).size, 0)
})
