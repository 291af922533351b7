import assert from 'node:assert/strict'
import { cp, mkdir, symlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import test from 'node:test'

import packageJson from '../../package.json' with { type: 'json' }
import { makeFolder } from '../support/folder.ts'
import { LAUNCHER, runHeadrace } from '../support/process.ts'

test('the launcher works from another folder, and through links that lead to links', async (t) => {
  const folder = await makeFolder(t, 'a folder with spaces')
  await symlink(LAUNCHER, join(folder, 'absolute'))
  await mkdir(join(folder, 'bin'))
  await symlink('../absolute', join(folder, 'bin', 'relative'))
  for (const command of [LAUNCHER, join(folder, 'bin', 'relative')]) {
    const { code, stdout } = await runHeadrace(t, ['--version'], { command, cwd: folder })
    assert.equal(code, 0)
    assert.equal(stdout.trim(), packageJson.version)
  }
})

test('without a Node that can run it, and without packages, it says what to do in one sentence', async (t) => {
  const folder = await makeFolder(t)
  const command = join(folder, 'headrace')
  await cp(LAUNCHER, command)
  const old = join(folder, 'old')
  await mkdir(old)
  await writeFile(join(old, 'node'), '#!/bin/sh\necho v20.1.0\n', { mode: 0o755 })
  const { PATH } = process.env
  for (const [path, sentence] of [
    [`${old}:${PATH}`, /^headrace: Node 24 is needed; run 'make serve'.*\n$/],
    [PATH, /^headrace: the packages are not installed; run 'make serve'.*\n$/],
  ] as const) {
    const { code, stderr } = await runHeadrace(t, ['serve'], { command, env: { PATH: path } })
    assert.equal(code, 1)
    assert.match(stderr, sentence)
  }
})

test('wrong settings are told before anything is done, all at once, with exit code 2', async (t) => {
  const env = { HEADRACE_PORT: 'http', HEADRACE_SLOTS: '0' }
  const { code, stderr } = await runHeadrace(t, ['keys', 'list'], { env })
  assert.equal(code, 2)
  assert.match(stderr, /HEADRACE_PORT is 'http'; allowed is/)
  assert.match(stderr, /HEADRACE_SLOTS is '0'; allowed is/)
})

test('a command that makes no sense exits with 2', async (t) => {
  const { code, stderr } = await runHeadrace(t, ['serv'])
  assert.equal(code, 2)
  assert.match(stderr, /unknown command 'serv'.*\(Did you mean serve\?\)/s)
})
