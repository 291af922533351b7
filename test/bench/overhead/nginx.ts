// nginx as a reverse proxy: the floor, for nothing is looked at.

import { mkdir, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'

import { canRun } from '../command.ts'
import { cleanEnvironment } from '../environment.ts'
import { CACHE_DIR } from '../folders.ts'
import { CHAT_PATH } from './contestant.ts'
import { freePort, Program } from './program.ts'
import type { Contestant, StartOptions } from './contestant.ts'

/** @returns the contestant, or why there is none */
export async function startNginx({ upstream, signal }: StartOptions): Promise<Contestant | string> {
  if (!(await canRun('nginx', ['-v'], { env: cleanEnvironment(), signal }))) {
    return 'nginx is not installed'
  }
  const home = join(CACHE_DIR, 'overhead/nginx')
  await rm(home, { recursive: true, force: true })
  await mkdir(home, { recursive: true })
  const port = await freePort()
  await writeFile(join(home, 'nginx.conf'), configOf(port, new URL(upstream).host))
  const program = await Program.serving(
    `http://127.0.0.1:${port}/`,
    'nginx',
    ['-p', home, '-c', 'nginx.conf', '-e', 'stderr'],
    { signal },
  )
  return {
    name: 'nginx',
    url: `http://127.0.0.1:${port}${CHAT_PATH}`,
    headers: {},
    pid: program.pid,
    [Symbol.asyncDispose]: () => program[Symbol.asyncDispose](),
  }
}

function configOf(port: number, upstream: string): string {
  const temporary = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi']
    .map((name) => `  ${name}_temp_path ${name};`)
    .join('\n')
  return `daemon off;
worker_processes 1;
pid nginx.pid;
error_log stderr error;
events { worker_connections 1024; }
http {
${temporary}
  access_log off;
  upstream mock { server ${upstream}; keepalive 256; keepalive_requests 100000000; }
  server {
    listen 127.0.0.1:${port};
    keepalive_requests 100000000;
    location / {
      proxy_pass http://mock;
      proxy_http_version 1.1;
      proxy_set_header Connection "";
      proxy_buffering off;
    }
  }
}
`
}
