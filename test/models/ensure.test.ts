import assert from 'node:assert/strict'
import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import type { TestContext } from 'node:test'

import { ensureModel, readWanted } from '../../models/ensure.ts'
import type { EnsureDeps, GivenUp } from '../../models/ensure.ts'
import type { SourceKind } from '../../models/manifest.ts'
import { parseRegistry, readRegistry, RegistryError } from '../../models/registry.ts'
import { SourceError } from '../../models/sources/fetched.ts'
import { ModelStore } from '../../models/store.ts'
import { publishVersion, scratchFolder } from './scratch.ts'

const REGISTRY = parseRegistry(
  {
    models: {
      chat: {
        description: 'for tests',
        licence: 'MIT',
        sources: [
          { source: 'hf:org/chat@v1', sha256: { 'model.safetensors': 'a'.repeat(64) } },
          { source: 'pip:chat==1.0' },
        ],
      },
      'headrace-guide': {
        description: 'comes along',
        licence: 'Apache-2.0',
        sources: [{ source: 'bundled:headrace-guide' }],
      },
    },
    bundled: 'headrace-guide',
  },
  'registry.json',
)

/** A library whose sources work or don't, as the test says; what works is published. */
async function setUp(t: TestContext, works: (reference: string) => boolean) {
  const store = new ModelStore(await scratchFolder(t))
  const tried: string[] = []
  const told: GivenUp[] = []
  const deps: EnsureDeps = {
    store,
    registry: REGISTRY,
    onGivenUp: (givenUp) => told.push(givenUp),
    async bring({ name, source, licence }) {
      const { reference } = source
      tried.push(reference)
      if (!works(reference)) throw new SourceError(`${reference}: no connection`)
      const kind: SourceKind = source.kind === 'path' ? 'folder' : source.kind
      const from = { kind, reference, revision: null, sha256: 'a'.repeat(64) }
      return { version: await publishVersion(store, name, { licence, source: from }), isNew: true }
    },
  }
  const ensure = async (text: string, orBundled = false) =>
    ensureModel(await readWanted(text, deps), deps, { orBundled })
  return { store, deps, tried, told, ensure }
}

test('a model of the registry is brought from the first source that works', async (t) => {
  const { ensure, tried, told } = await setUp(t, (reference) => reference.startsWith('pip:'))
  const { version, how } = await ensure('chat')

  assert.equal(version.id, 'chat@1')
  assert.equal(how, 'imported')
  assert.equal(version.manifest.licence, 'MIT')
  assert.deepEqual(tried, ['hf:org/chat@v1', 'pip:chat==1.0'])
  assert.deepEqual(told, [{ source: 'hf:org/chat@v1', reason: 'no connection' }])
})

test('a model that is there is not asked for again', async (t) => {
  const { ensure, tried, store } = await setUp(t, () => false)
  await publishVersion(store, 'chat')
  const { version, how } = await ensure('chat')
  assert.equal(version.id, 'chat@1')
  assert.equal(how, 'present')
  assert.deepEqual(tried, [])
})

test('a model of which no source works is an error with every reason', async (t) => {
  const { ensure } = await setUp(t, () => false)
  await assert.rejects(
    ensure('chat'),
    new SourceError(
      'No source of chat works:\n  hf:org/chat@v1: no connection\n  pip:chat==1.0: no connection',
    ),
  )
})

test('the bundled model stands in where that is wanted, under its own name', async (t) => {
  const { ensure, store } = await setUp(t, (reference) => reference.startsWith('bundled:'))
  const { version, how, givenUp } = await ensure('chat', true)

  assert.equal(version.id, 'headrace-guide@1')
  assert.equal(how, 'substituted')
  assert.equal(givenUp.length, 2)
  assert.equal(await store.resolve('chat'), null)
})

test('the next start tries the wanted model again', async (t) => {
  let isUp = false
  const { ensure } = await setUp(t, (reference) => isUp || reference.startsWith('bundled:'))
  assert.equal((await ensure('chat', true)).how, 'substituted')
  isUp = true
  assert.equal((await ensure('chat', true)).version.id, 'chat@1')
})

test('any source can be the default, with or without a name for it', async (t) => {
  const { ensure, tried } = await setUp(t, () => true)
  assert.equal((await ensure('hf:org/Some-Repo')).version.id, 'some-repo@1')
  assert.equal((await ensure('mine=hf:org/Some-Repo')).version.id, 'mine@1')
  assert.equal((await ensure('mine=pip:package==1.0')).version.id, 'mine@2')
  assert.equal((await ensure('mine=pip:package==1.0')).how, 'present')
  assert.deepEqual(tried, ['hf:org/Some-Repo', 'hf:org/Some-Repo', 'pip:package==1.0'])
})

test('an imported model and one version of it can be the default', async (t) => {
  const { ensure, store } = await setUp(t, () => false)
  await publishVersion(store, 'own')
  await publishVersion(store, 'own')
  assert.equal((await ensure('own')).version.id, 'own@2')
  assert.equal((await ensure('own@1')).version.id, 'own@1')
  await assert.rejects(ensure('own@3'), /There is no version own@3; there are own@2, own@1/)
})

test('a name that nobody knows is an error that lists what there is', async (t) => {
  const { ensure, store } = await setUp(t, () => false)
  await publishVersion(store, 'own')
  await assert.rejects(
    ensure('caht', true),
    /There is no model 'caht'; known are chat, headrace-guide, own, or name a source/,
  )
  await assert.rejects(ensure('My Name=hf:org/repo'), /'My Name' in .* can't be a model's name/)
})

test('an abort is not taken for a source that does not work', async (t) => {
  const { deps } = await setUp(t, () => true)
  const abort = new AbortController()
  const aborting: EnsureDeps = {
    ...deps,
    signal: abort.signal,
    bring: async () => {
      abort.abort(new Error('enough'))
      throw new Error('cut off')
    },
  }
  const wanted = await readWanted('chat', deps)
  await assert.rejects(ensureModel(wanted, aborting, { orBundled: true }), /^Error: enough$/)
})

test('the registry that comes along is valid, and every source off this machine is pinned', async () => {
  const { models, bundled } = await readRegistry()
  assert.equal(bundled.name, 'headrace-guide')
  const sources = models.get('smollm2-135m-instruct')?.sources ?? []
  assert.deepEqual(
    sources.map(({ source }) => source.kind),
    ['hf', 'pip'],
  )
  for (const { source, pins } of [...models.values()].flatMap((model) => model.sources)) {
    if (source.kind === 'bundled') continue
    assert.ok(Object.keys(pins).length > 0, `${source.reference} is pinned`)
    if (source.kind === 'hf') assert.match(source.revision, /^[0-9a-f]{40}$/)
  }
})

test('a registry that is wrong says where', () => {
  const parse = (json: unknown) => () => parseRegistry(json, 'r.json')
  assert.throws(parse({ models: {} }), new RegistryError('r.json: bundled must be there'))
  assert.throws(
    parse({ models: { 'a/b': {} }, bundled: 'x' }),
    /^RegistryError: r\.json: models\.a\/b is \{\}: is not a known field/,
  )
  assert.throws(
    parse({
      models: {
        a: { description: 'd', licence: 'l', sources: [{ source: 'hf:x/y', sha256: { f: 'no' } }] },
      },
      bundled: 'a',
    }),
    /models\.a\.sources\.0\.sha256\.f is "no": must match pattern/,
  )
  assert.throws(parse({ models: {}, bundled: 'x' }), /bundled is 'x'; it must be one of/)
})

test('a folder of the working directory has to be written as a path', async (t) => {
  const { deps } = await setUp(t, () => true)
  const folder = await scratchFolder(t)
  await mkdir(join(folder, 'model'))
  await writeFile(join(folder, 'model', 'config.json'), '{}')
  const wanted = await readWanted(join(folder, 'model'), deps)
  assert.equal(wanted.name, 'model')
  assert.equal(wanted.sources[0]?.source.kind, 'path')
})
