// nginx in front of several gateways, as an operator has it: it asks the next one where a gateway can't be reached or says
// that it goes away.
//
// A refusal with 503 has begun nothing, so that POST may be asked again (`non_idempotent`). It may be about one model, so
// that no gateway is left out for it (`max_fails=0`): both would be, and nginx would answer 502 by itself.
//
// Knows: ports, nginx. Does not know: what is asked.

import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { writeFile } from 'node:fs/promises'
import { connect } from 'node:net'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'

import { makeFolder } from '../support/folder.ts'
import { freePorts } from '../support/free-ports.ts'
import { defer } from '../support/lasting.ts'
import type { Lasting } from '../support/lasting.ts'

export const NGINX_IS_ABSENT =
  spawnSync('nginx', ['-v'], { stdio: 'ignore' }).status === 0 ? false : 'nginx is not installed'

/** @returns where it listens */
export async function startBalancer(t: Lasting, ports: readonly number[]): Promise<string> {
  const folder = await makeFolder(t, 'nginx')
  const [port] = (await freePorts(1)) as [number]
  const file = join(folder, 'nginx.conf')
  await writeFile(file, configuration(folder, port, ports))
  const child = spawn('nginx', ['-p', folder, '-e', 'stderr', '-c', file], { stdio: 'inherit' })
  const gone = once(child, 'exit')
  defer(t, async () => {
    child.kill('SIGTERM')
    await gone
  })
  await Promise.race([
    reachable(port),
    gone.then(() => {
      throw new Error('nginx ended.')
    }),
  ])
  return `http://127.0.0.1:${port}`
}

const configuration = (folder: string, port: number, ports: readonly number[]) => `
daemon off;
${process.getuid?.() === 0 ? 'user root;' : ''}
worker_processes 1;
pid ${folder}/nginx.pid;
error_log stderr emerg;
events { worker_connections 1024; }
http {
  access_log off;
  ${['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'].map((kind) => `${kind}_temp_path ${folder}/${kind};`).join(' ')}
  upstream gateways {
    least_conn;
    ${ports.map((each) => `server 127.0.0.1:${each} max_fails=0;`).join(' ')}
    keepalive 32;
  }
  server {
    listen 127.0.0.1:${port};
    location / {
      proxy_pass http://gateways;
      proxy_http_version 1.1;
      proxy_set_header connection '';
      proxy_buffering off;
      proxy_connect_timeout 2s;
      proxy_read_timeout 120s;
      proxy_next_upstream error http_503 non_idempotent;
      proxy_next_upstream_tries 3;
    }
  }
}
`

async function reachable(port: number): Promise<void> {
  for (;;) {
    const socket = connect(port, '127.0.0.1')
    const isThere = await Promise.race([
      once(socket, 'connect').then(() => true),
      once(socket, 'error').then(() => false),
    ]).catch(() => false)
    socket.destroy()
    if (isThere) return
    await sleep(20)
  }
}
