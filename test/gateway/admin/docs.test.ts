// /docs: the API's document as a page, from this server alone.

import assert from 'node:assert/strict'
import test from 'node:test'
import { isDeepStrictEqual } from 'node:util'

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

interface Operation {
  operationId?: string
  summary?: string
  tags?: string[]
  parameters?: { in: string; name: string; description?: string }[]
  responses: Record<string, { description: string; content?: object }>
  requestBody?: object
}

test('every operation says what it is for, what it takes, what it answers and how it fails', async (t) => {
  const { url } = await startGateway(t)
  const { paths } = (await (await fetch(`${url}/openapi.json`)).json()) as {
    paths: Record<string, Record<string, Operation>>
  }
  const ids = new Set<string>()
  const missing: string[] = []
  for (const [path, operations] of Object.entries(paths)) {
    const named = [...path.matchAll(/\{(\w+)\}/g)].map(([, name]) => name!)
    for (const [method, operation] of Object.entries(operations)) {
      const miss = (what: string) => missing.push(`${method} ${path}: ${what}`)
      const { operationId = '', parameters = [], responses } = operation
      if (operationId === '' || ids.has(operationId)) miss(`operationId '${operationId}'`)
      ids.add(operationId)
      if (!operation.summary) miss('summary')
      if (!operation.tags?.length) miss('tags')
      const inPath = parameters.filter((one) => one.in === 'path').map(({ name }) => name)
      if (!isDeepStrictEqual(new Set(inPath), new Set(named))) miss("path's parameters")
      for (const { in: where, name, description } of parameters) {
        if (where === 'query' && path === '/admin/exchanges' && !description) miss(name)
      }
      for (const [status, { description, content }] of Object.entries(responses)) {
        if (!description || /default response/i.test(description)) miss(`${status}'s description`)
        if (!content && status !== '204') miss(`${status}'s content`)
      }
      const isOpen = path === '/healthz' || path === '/readyz'
      if (!responses['default'] && !isOpen) miss('how it fails')
    }
  }
  assert.deepEqual(missing, [])
  assert.ok(ids.size > 40, String(ids.size))
  assert.ok(paths['/v1/files']?.['post']?.requestBody, 'what is passed on has a body')
})

test('the document lists every code of an error', async (t) => {
  const { url } = await startGateway(t)
  const { info } = (await (await fetch(`${url}/openapi.json`)).json()) as {
    info: { description: string }
  }
  assert.match(info.description, /\| 409 \|.*`deployment_conflict`/)
  assert.match(info.description, /\| 502 \|.*`upstream_unreachable`/)
})
