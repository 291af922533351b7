// A hub on port 0: the few routes that a download uses, over repositories that the test makes up, and the ways in which a
// hub can fail.

import { createHash } from 'node:crypto'
import { once } from 'node:events'
import { createServer } from 'node:http'
import type { IncomingMessage, ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import type { TestContext } from 'node:test'

export interface HubRepo {
  commit: string
  files: Record<string, HubFile>
  /** answers everything with this */
  refusal?: { status: number; code?: string }
}

export interface HubFile {
  content: Buffer
  /** kept in LFS, so that the hub knows its sha256 */
  isLfs?: boolean
  /** what the hub says instead of the truth */
  claimed?: { sha256?: string; bytes?: number }
  /** where a download is sent on to */
  movedTo?: string
  /** bytes after which each answer is cut off */
  cutAfter?: number
  /** bytes after which nothing comes any more, the connection staying open */
  stallAfter?: number
}

export interface Hub {
  endpoint: string
  /** what was asked for, with the range and the token that came along */
  requests: { path: string; range: string | null; authorization: string | null }[]
}

export async function startHub(t: TestContext, repos: Record<string, HubRepo>): Promise<Hub> {
  const requests: Hub['requests'] = []
  const server = createServer((request, response) => {
    const path = new URL(request.url ?? '/', 'http://hub').pathname
    const { range, authorization } = request.headers
    requests.push({ path, range: range ?? null, authorization: authorization ?? null })
    answer(repos, path, request, response)
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.after(() => {
    server.closeAllConnections()
    server.close()
  })
  const { port } = server.address() as AddressInfo
  return { endpoint: `http://127.0.0.1:${port}`, requests }
}

const gitSum = (content: Buffer) =>
  createHash('sha1').update(`blob ${content.length}\0`).update(content).digest('hex')
export const sha256 = (content: Buffer) => createHash('sha256').update(content).digest('hex')

function answer(
  repos: Record<string, HubRepo>,
  path: string,
  request: IncomingMessage,
  response: ServerResponse,
) {
  const [, name, route] = /^(?:\/api\/models)?\/([^/]+\/[^/]+)\/(.+)$/.exec(path) ?? []
  const repo = repos[name ?? '']
  if (!repo || route === undefined) return refuse(response, 401, 'RepoNotFound')
  if (repo.refusal) return refuse(response, repo.refusal.status, repo.refusal.code)

  const [kind, revision, ...rest] = route.split('/').map(decodeURIComponent)
  if (revision !== 'main' && revision !== repo.commit)
    return refuse(response, 404, 'RevisionNotFound')
  if (kind === 'revision') {
    return send(response, { _id: 'id', id: name, sha: repo.commit, lastModified: new Date(0) })
  }
  if (kind === 'tree') return send(response, Object.entries(repo.files).map(treeEntry))
  const file = repo.files[rest.join('/')]
  if (!file) return refuse(response, 404, 'EntryNotFound')
  sendFile(request, response, file)
}

function treeEntry([path, file]: [string, HubFile]) {
  const size = file.claimed?.bytes ?? file.content.length
  const oid = file.claimed?.sha256 ?? sha256(file.content)
  return {
    type: 'file',
    path,
    size,
    oid: gitSum(file.content),
    ...(file.isLfs ? { lfs: { oid, size, pointerSize: 134 } } : {}),
  }
}

function sendFile(request: IncomingMessage, response: ServerResponse, file: HubFile) {
  const { content, movedTo } = file
  if (movedTo !== undefined) {
    response.writeHead(302, { location: movedTo }).end()
    return
  }
  const from = Number(/^bytes=(\d+)-$/.exec(request.headers.range ?? '')?.[1] ?? 0)
  const body = content.subarray(from)
  const headers: Record<string, string | number> = { 'content-length': body.length }
  if (from > 0) headers['content-range'] = `bytes ${from}-${content.length - 1}/${content.length}`
  response.writeHead(from > 0 ? 206 : 200, headers)
  const limit = file.cutAfter ?? file.stallAfter
  if (limit === undefined || limit >= body.length) {
    response.end(body)
    return
  }
  response.write(body.subarray(0, limit), () => {
    if (file.cutAfter !== undefined) setTimeout(() => response.socket?.destroy(), 20)
  })
}

function send(response: ServerResponse, body: unknown) {
  response.setHeader('content-type', 'application/json').end(JSON.stringify(body))
}

function refuse(response: ServerResponse, status: number, code?: string) {
  if (code !== undefined) response.setHeader('x-error-code', code)
  response.statusCode = status
  response.end(JSON.stringify({ error: 'refused' }))
}
