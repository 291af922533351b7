import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { stat, writeFile } from 'node:fs/promises'
import { test } from 'node:test'

import { createRuntimeClient } from '../../../runtime/client.ts'
import { startRuntime } from '../../../runtime/main.ts'
import {
  collect,
  fakeRequest,
  recordingLogger,
  startTestRuntime,
  temporaryFolder,
  textOf,
} from '../../support/runtime.ts'

const logger = recordingLogger([])

test('the socket is for its owner alone', async (t) => {
  const runtime = await startTestRuntime(t)
  const { mode } = await stat(runtime.address.replace('unix:', ''))
  assert.equal(mode & 0o777, 0o600)
})

test('a socket that a killed host left behind is replaced', async (t) => {
  const folder = await temporaryFolder(t)
  const path = `${folder}/a b/runtime.sock`
  await startRuntime({ dataDir: folder, address: `unix:${path}` }, logger).then((r) => r.close())
  const script = `require('node:net').createServer().listen(${JSON.stringify(path)}, () => {
    process.kill(process.pid, 'SIGKILL')
  })`
  await once(spawn(process.execPath, ['-e', script]), 'exit')
  assert.ok((await stat(path)).isSocket())

  const runtime = await startRuntime({ dataDir: folder, address: `unix:${path}` }, logger)
  t.after(() => runtime.close())
  const client = createRuntimeClient(runtime)
  t.after(() => client.close())
  assert.deepEqual((await client.stats()).engines, [])
})

test('an address that something else has is refused in one sentence', async (t) => {
  const first = await startTestRuntime(t)
  const { dataDir } = first
  const start = (address: string) => startRuntime({ dataDir, address }, logger)
  await assert.rejects(start(first.address), {
    message: `The runtime can't listen at ${first.address}: another runtime listens there.`,
  })
  await first.client.stats()

  await writeFile(`${dataDir}/file`, '')
  await assert.rejects(start(`unix:${dataDir}/file`), /there is a file of that name/)

  const tcp = await startTestRuntime(t, { address: 'http://127.0.0.1:0' })
  await assert.rejects(
    start(tcp.address),
    /can't listen at http.*: something else listens there\.$/,
  )
})

test('over TCP it serves the same', async (t) => {
  const runtime = await startTestRuntime(t, { address: 'http://127.0.0.1:0', token: 'secret' })
  assert.match(runtime.address, /^http:\/\/127\.0\.0\.1:[1-9]\d+$/)
  const version = await runtime.addVersion('tcp')
  await runtime.client.load(version)
  const signal = new AbortController().signal
  const answer = await collect(runtime.client.generate(fakeRequest(version), signal))
  assert.equal(textOf(answer), 'word0 word1 word2 ')
})

test('wrong settings are told all at once', async (t) => {
  const dataDir = await temporaryFolder(t)
  await assert.rejects(
    startRuntime({ dataDir, address: 'http://0.0.0.0:0', threads: 0, drainMs: -1 }, logger),
    (error: Error) => {
      assert.match(error.message, /^token: none, but http:\/\/0.0.0.0:0 can be reached from other/m)
      assert.match(error.message, /^threads: 0; allowed is a whole number of at least 1$/m)
      assert.match(error.message, /^drainMs: -1;/m)
      return true
    },
  )
})

test('what is no address is refused with what is allowed', async (t) => {
  const dataDir = await temporaryFolder(t)
  const cases: [address: string, why: RegExp][] = [
    ['/run/x.sock', /it is neither of these/],
    ['https://host:1', /it is neither of these/],
    ['unix:x.sock', /has to be absolute/],
    [`unix:/${'x'.repeat(200)}`, /the path is 201 bytes long and the system allows 10/],
    ['http://127.0.0.1:1/path', /host and port are all/],
  ]
  for (const [address, why] of cases) {
    await assert.rejects(startRuntime({ dataDir, address }, logger), why)
    assert.throws(() => createRuntimeClient({ address }), /Allowed are unix:.* and http:/)
  }
})
