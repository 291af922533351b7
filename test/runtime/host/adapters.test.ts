// A runtime with real engines over a tiny base and adapters of it: merged, and beside it.

import assert from 'node:assert/strict'
import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { before, test } from 'node:test'

import { importModel } from '../../../cli/importer.ts'
import type { WantedImport } from '../../../cli/importer.ts'
import { sourceSettings } from '../../../models/sources/fetched.ts'
import { ModelStore } from '../../../models/store.ts'
import { createRuntimeClient } from '../../../runtime/client.ts'
import type { Runtime } from '../../../runtime/client.ts'
import { startRuntime } from '../../../runtime/main.ts'
import type { GenerateEvent, GenerateRequest } from '../../../runtime/protocol.ts'
import { writeAdapter } from '../../support/adapter.ts'
import { makeFolder } from '../../support/folder.ts'
import { defer, lastingFile } from '../../support/lasting.ts'
import { randomCheckpoint, TINY } from '../../support/random-checkpoint.ts'
import { collect, recordingLogger, textOf } from '../../support/runtime.ts'
import { writeFolder } from '../checkpoint/tiny-models.ts'

const lasting = lastingFile()
let client: Runtime
let requests = 0

before(async () => {
  const root = await makeFolder(lasting, 'adapters')
  const dataDir = join(root, 'data')
  const store = new ModelStore(dataDir)
  const bring = async (name: string, wanted: Partial<WantedImport> = {}) => {
    const source = { kind: 'path' as const, reference: join(root, name.replace('-merged', '')) }
    const { version } = await importModel(
      { source, pins: {}, name, licence: null, precision: 'fp32', isForced: false, ...wanted },
      {
        store,
        cacheDir: join(root, 'cache'),
        settings: sourceSettings({}),
        threads: 1,
        signal: new AbortController().signal,
        onProgress: () => {},
      },
    )
    return version
  }
  const checkpoint = randomCheckpoint(TINY)
  for (const name of ['base', 'one', 'two']) await mkdir(join(root, name))
  await writeFolder(join(root, 'base'), checkpoint)
  await writeAdapter(join(root, 'one'), checkpoint, { seed: 3 })
  await writeAdapter(join(root, 'two'), checkpoint, {
    seed: 4,
    targets: ['q_proj', 'v_proj'],
    alpha: 40,
  })
  const version = await bring('base')
  const { source } = version.manifest
  const base = {
    version,
    sources: [{ source: { kind: 'path' as const, reference: source.reference }, pins: {} }],
  }
  await bring('one', { base, isApart: true })
  await bring('two', { base, isApart: true })
  await bring('one-merged', { base })
  const address = `unix:${dataDir}/runtime.sock`
  const runtime = await startRuntime({ dataDir, address, threads: 1 }, recordingLogger([]))
  client = createRuntimeClient({ address })
  defer(lasting, () => runtime.close())
  defer(lasting, () => client.close())
})

const load = (version: string) => client.load(version, () => {})

function generate(version: string, text: string): Promise<GenerateEvent[]> {
  const request: GenerateRequest = {
    id: `r${requests++}`,
    version,
    prompt: { kind: 'text', text },
    sampling: { temperature: 0 },
    maxTokens: 12,
    ignoreEnd: true,
    stop: [],
  }
  return collect(client.generate(request, new AbortController().signal))
}

const answer = async (version: string, text: string) => textOf(await generate(version, text))

test('requests that name adapters of one base share its engine, and each gets its own answer', async () => {
  const prompts = ['hello world', '123 tool', 'the quick brown fox', 'hello hello hello']
  const expected = new Map<string, string>()
  for (const [version, alone] of [
    ['base@1', 'base@1'],
    ['one@1', 'one-merged@1'],
    ['two@1', 'two@1'],
  ] as const) {
    await load(alone)
    for (const prompt of prompts) expected.set(`${version} ${prompt}`, await answer(alone, prompt))
  }
  await client.unload('one-merged@1')
  await load('one@1')
  const { engines } = await client.stats()
  assert.deepEqual(
    engines.map(({ version, adapters }) => ({ version, adapters })),
    [{ version: 'base@1', adapters: ['two@1', 'one@1'] }],
  )
  // Twice: the second time what the first has computed is in the cache, under every adapter.
  for (let round = 0; round < 2; round++) {
    const answers = await Promise.all(
      [...expected].map(async ([asked, text]) => {
        const [version, ...words] = asked.split(' ')
        return [asked, await answer(version!, words.join(' ')), text]
      }),
    )
    for (const [asked, given, text] of answers)
      assert.equal(given, text, `${asked}, round ${round}`)
  }
  assert.equal(new Set(expected.values()).size, expected.size, 'the adapters change nothing')
})

test('an adapter loads its base with it', async () => {
  await client.unload('base@1')
  assert.deepEqual((await client.stats()).engines, [])
  await load('one@1')
  assert.notEqual(await answer('one@1', 'hello'), await answer('base@1', 'hello'))
})

test('an adapter that is unloaded is not loaded, and its base still is', async () => {
  await load('one@1')
  await load('two@1')
  await client.unload('one@1')
  await assert.rejects(generate('one@1', 'hello'), /Version 'one@1' is not loaded/)
  assert.notEqual(await answer('two@1', 'hello'), await answer('base@1', 'hello'))
})

test('adapters are there again when the engine that died is', async () => {
  await load('one@1')
  const before = await answer('one@1', 'hello world')
  const { engines } = await client.stats()
  process.kill(engines[0]!.pid!, 'SIGKILL')
  assert.equal(await answer('one@1', 'hello world'), before)
  assert.equal((await client.stats()).engines[0]!.restarts, 1)
})

test('an adapter whose base is gone says which one it needs', async () => {
  await assert.rejects(load('three@1'), /There is no version 'three@1' on this host/)
})
