// /docs: the API's document as a page, from this server alone.

import assert from 'node:assert/strict'
import test from 'node:test'

import { startGateway } from '../../support/gateway.ts'

test('the page loads from this server only, and its policy forbids everything else', async (t) => {
  const { url } = await startGateway(t)
  const page = await fetch(`${url}/docs`)
  assert.equal(page.status, 200)
  const policy = page.headers.get('content-security-policy') ?? ''
  assert.match(policy, /default-src 'none'/)
  assert.match(policy, /script-src 'self'(;|$)/)
  assert.ok(!policy.includes('http'), policy)

  const html = await page.text()
  // A script in the page itself would not run under this policy.
  assert.doesNotMatch(html, /<script(?![^>]*src=)|<style|\son\w+=/)
  const assets = [...html.matchAll(/(?:src|href)="([^"]+)"/g)].map(([, path]) => path!)
  assert.ok(assets.length >= 5, html)
  for (const path of assets) {
    assert.match(path, /^\.?\//)
    const asset = await fetch(new URL(path, page.url))
    assert.equal(asset.status, 200, path)
    assert.ok((await asset.arrayBuffer()).byteLength > 0, path)
  }
  const initializer = await fetch(`${url}/docs/static/swagger-initializer.js`)
  assert.match(await initializer.text(), /"validatorUrl":null/)
})

test('the page sends the key that was typed there to every address that asks for one', async (t) => {
  const { url } = await startGateway(t)
  const { security, paths } = (await (await fetch(`${url}/openapi.json`)).json()) as {
    security: object[]
    paths: Record<string, Record<string, { security?: object[] }>>
  }
  const open = Object.entries(paths).flatMap(([path, methods]) =>
    Object.values(methods).flatMap((one) => ((one.security ?? security).length === 0 ? path : [])),
  )
  assert.deepEqual(open, ['/healthz', '/readyz'])
})

test('the document has every field of a key, with what is allowed', async (t) => {
  const { url } = await startGateway(t)
  const document = await (await fetch(`${url}/openapi.json`)).text()
  for (const name of ['allowed_models', 'requests_per_minute', 'overlap_seconds', 'expires_at']) {
    assert.ok(document.includes(name), name)
  }
  assert.equal(await (await fetch(`${url}/docs/json`)).text(), document)
})
