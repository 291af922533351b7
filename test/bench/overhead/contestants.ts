// Who stands between the clients and the mock: nobody, nginx, the least gateway there can be, Portkey, LiteLLM, Headrace.

import { fork, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { ChildProcess } from 'node:child_process'
import type { AddressInfo } from 'node:net'

import { cleanEnvironment } from '../environment.ts'
import { usageOf } from './cpu.ts'
import { LITELLM, PORTKEY } from './peers.ts'

export interface OverheadContestant extends AsyncDisposable {
  name: string
  origin: string
  headers: Record<string, string>
  /** as the clients write it */
  model: string
  /** of everything that runs for it; null for nobody */
  usage(): Promise<{ cpuMs: number; residentBytes: number }>
  /** of its database alone, which `usage` includes */
  databaseUsage?(): Promise<{ cpuMs: number; residentBytes: number }>
  /** asks for a garbage collection before memory is read */
  collect?(): void
}

const JSON_HEADERS = { 'content-type': 'application/json' }
const READY_MS = 120_000

export async function startMock(): Promise<{ origin: string; child: ChildProcess }> {
  const child = fork(join(import.meta.dirname, 'mock.ts'), [], { env: cleanEnvironment() })
  const { port } = await begin<{ port: number }>(child)
  return { origin: `http://127.0.0.1:${port}`, child }
}

export function direct(origin: string): OverheadContestant {
  return {
    name: 'direct',
    origin,
    headers: JSON_HEADERS,
    model: 'mock',
    usage: () => Promise.resolve({ cpuMs: 0, residentBytes: 0 }),
    [Symbol.asyncDispose]: () => Promise.resolve(),
  }
}

export async function bareProxy(mock: string): Promise<OverheadContestant> {
  const child = fork(join(import.meta.dirname, 'bare.ts'), [mock], { env: cleanEnvironment() })
  const { port } = await begin<{ port: number }>(child)
  return contestant('Fastify + undici, bare', port, child)
}

export async function nginx(mock: string): Promise<OverheadContestant> {
  const folder = await mkdtemp(join(tmpdir(), 'headrace-bench-nginx-'))
  const port = await freePort()
  await writeFile(
    join(folder, 'nginx.conf'),
    `daemon off; worker_processes 1; pid ${folder}/nginx.pid; error_log ${folder}/error.log;
events { worker_connections 2048; }
http { access_log off; client_body_temp_path ${folder}; proxy_temp_path ${folder};
  upstream mock { server ${new URL(mock).host}; keepalive 256; }
  server { listen 127.0.0.1:${port}; keepalive_requests 1000000000;
    location / { proxy_pass http://mock; proxy_http_version 1.1; proxy_set_header Connection ""; proxy_buffering off; } } }`,
  )
  const child = spawn('nginx', ['-p', folder, '-c', 'nginx.conf'], { stdio: ['ignore', 2, 2] })
  await listening(port)
  return contestant('nginx', port, child, { folder })
}

export async function portkey(mock: string): Promise<OverheadContestant> {
  const port = await freePort()
  const child = spawn(process.execPath, [PORTKEY, `--port=${port}`, '--headless'], {
    env: cleanEnvironment({ NODE_ENV: 'production' }),
    stdio: ['ignore', 'ignore', 2],
  })
  await listening(port)
  const headers = {
    ...JSON_HEADERS,
    authorization: 'Bearer sk-bench',
    'x-portkey-provider': 'openai',
    'x-portkey-custom-host': `${mock}/v1`,
  }
  return contestant('Portkey', port, child, { headers })
}

export async function litellm(mock: string): Promise<OverheadContestant> {
  const folder = await mkdtemp(join(tmpdir(), 'headrace-bench-litellm-'))
  const port = await freePort()
  const config = join(folder, 'config.yaml')
  await writeFile(
    config,
    `model_list: [{ model_name: mock, litellm_params: { model: openai/mock, api_base: "${mock}/v1", api_key: sk-bench } }]\n`,
  )
  const child = spawn(
    LITELLM,
    ['--config', config, '--port', String(port), '--host', '127.0.0.1'],
    {
      env: cleanEnvironment({ LITELLM_LOCAL_MODEL_COST_MAP: 'True' }),
      stdio: ['ignore', 'ignore', 'ignore'],
    },
  )
  await listening(port)
  return contestant('LiteLLM', port, child, { folder })
}

export async function headrace(mock: string): Promise<OverheadContestant> {
  const folder = await mkdtemp(join(tmpdir(), 'headrace-bench-'))
  await writeFile(
    join(folder, 'headrace.yaml'),
    'upstreams: { mock: { api: compatible, base_url: "${MOCK}/v1", key: sk-bench } }\n' +
      'models: { mock: { targets: [{ upstream: mock, model: mock, price: { input: 1, output: 2 } }] } }\n',
  )
  const child = fork(join(import.meta.dirname, 'headrace.ts'), [folder, mock], {
    env: cleanEnvironment(),
    execArgv: ['--expose-gc'],
  })
  const { port, key } = await begin<{ port: number; key: string }>(child)
  const postmaster = await postmasterOf(folder)
  const own = contestant('Headrace', port, child, {
    folder,
    headers: { ...JSON_HEADERS, authorization: `Bearer ${key}` },
    roots: postmaster === null ? [] : [postmaster],
  })
  return {
    ...own,
    databaseUsage: () => usageOf(postmaster === null ? [] : [postmaster]),
    collect: () => child.send('gc'),
  }
}

/** PostgreSQL runs beside the gateway, not below it. */
async function postmasterOf(folder: string): Promise<number | null> {
  const file = join(folder, 'postgres/cluster/postmaster.pid')
  const text = await readFile(file, 'utf8').catch(() => null)
  return text === null ? null : Number(text.split('\n')[0])
}

function contestant(
  name: string,
  port: number,
  child: ChildProcess,
  more: { headers?: Record<string, string>; folder?: string; roots?: number[] } = {},
): OverheadContestant {
  const { headers = JSON_HEADERS, folder, roots = [] } = more
  return {
    name,
    origin: `http://127.0.0.1:${port}`,
    headers,
    model: 'mock',
    usage: () => usageOf([child.pid ?? 0, ...roots]),
    async [Symbol.asyncDispose]() {
      if (child.exitCode === null && child.signalCode === null) {
        const gone = once(child, 'exit')
        if (child.connected) child.disconnect()
        else child.kill()
        await gone
      }
      if (folder !== undefined) await rm(folder, { recursive: true, force: true })
    },
  }
}

/** What a child says when it is ready. @throws Error where it ends instead */
async function begin<Message>(child: ChildProcess): Promise<Message> {
  const ended = new AbortController()
  child.once('exit', () => ended.abort(new Error(`${child.spawnargs.join(' ')} ended.`)))
  const [message] = await once(child, 'message', { signal: ended.signal })
  return message as Message
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  server.close()
  return port
}

async function listening(port: number): Promise<void> {
  const deadline = performance.now() + READY_MS
  for (;;) {
    const answered = await fetch(`http://127.0.0.1:${port}/`).then(
      () => true,
      () => false,
    )
    if (answered) return
    if (performance.now() > deadline) throw new Error(`Nothing listens on port ${port}.`)
    await new Promise((resolve) => setTimeout(resolve, 100))
  }
}
