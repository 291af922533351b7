import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdir, readdir, rm, stat, utimes, writeFile } from 'node:fs/promises'
import { hostname } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'

import { ModelStore, StoreError } from '../../models/store.ts'
import type { BrokenVersion } from '../../models/store.ts'
import { createWorkFolder } from '../../models/work-folders.ts'
import { draftOf, publishVersion, scratchFolder } from './scratch.ts'

test('a name without a version means the newest one', async (t) => {
  const store = new ModelStore(await scratchFolder(t))
  for (let number = 1; number <= 10; number++) await publishVersion(store, 'chat')

  assert.equal((await store.resolve('chat'))?.id, 'chat@10')
  assert.equal((await store.resolve('chat@2'))?.id, 'chat@2')
  assert.equal(await store.resolve('chat@11'), null)
  assert.equal(await store.resolve('talk'), null)
  assert.deepEqual(
    (await store.listVersions('chat')).map(({ manifest }) => manifest.version),
    ['10', '9', '8', '7', '6', '5', '4', '3', '2', '1'],
  )
})

test('a published version is complete, dated, hashed and read-only', async (t) => {
  const dataDir = await scratchFolder(t)
  const store = new ModelStore(dataDir, { now: () => new Date('2031-05-06T07:08:09Z') })
  const { folder, manifest } = await publishVersion(store, 'chat')

  assert.equal(folder, join(dataDir, 'models', 'chat', '1'))
  assert.equal(manifest.created, '2031-05-06T07:08:09.000Z')
  assert.deepEqual(Object.keys(manifest.files), [
    'model.onnx',
    'model.onnx.data',
    'tokenizer.json',
    'tokenizer_config.json',
  ])
  assert.equal(manifest.files['model.onnx']?.bytes, 'content of model.onnx'.length)
  for (const name of await readdir(folder)) {
    assert.equal((await stat(join(folder, name))).mode & 0o777, 0o444, name)
  }
  assert.deepEqual(await readdir(join(dataDir, 'models', '.staging')), [])
})

test('two importers that publish at once get two versions', async (t) => {
  const dataDir = await scratchFolder(t)
  const stores = Array.from({ length: 8 }, () => new ModelStore(dataDir))
  const published = await Promise.all(stores.map((store) => publishVersion(store, 'chat')))

  assert.deepEqual(
    published.map(({ id }) => id).sort(),
    [1, 2, 3, 4, 5, 6, 7, 8].map((number) => `chat@${number}`),
  )
  for (const { folder, manifest } of published) {
    const again = await new ModelStore(dataDir).get(`chat@${manifest.version}`)
    assert.equal(again.folder, folder)
  }
})

test('a number that is reserved is given to no folder, whoever comes first', async (t) => {
  const dataDir = await scratchFolder(t)
  const stores = Array.from({ length: 4 }, () => new ModelStore(dataDir))
  const [published, reserved] = await Promise.all([
    Promise.all(stores.map((store) => publishVersion(store, 'chat'))),
    Promise.all(
      stores.map(async (store) => {
        let number = 1
        while (!(await store.reserve('chat', number))) number++
        return `chat@${number}`
      }),
    ),
  ])
  const ids = [...published.map(({ id }) => id), ...reserved]
  assert.equal(new Set(ids).size, 8, ids.join(' '))
  for (const { id, folder } of published) assert.equal((await stores[0]!.get(id)).folder, folder)
  assert.equal(await stores[0]!.reserve('chat', 1), false)
})

test('what is still being made is in no list', async (t) => {
  const store = new ModelStore(await scratchFolder(t))
  const staging = await store.createStaging('chat')
  await writeFile(join(staging, 'model.onnx'), 'half')

  assert.deepEqual(await store.listModels(), [])
  assert.equal(await store.resolve('chat'), null)
})

test('an import cut off by the death of its process is cleared away by the next', async (t) => {
  const dataDir = await scratchFolder(t)
  const left = join(dataDir, 'models', '.staging')
  const script = `
    import { ModelStore } from ${JSON.stringify(join(import.meta.dirname, '../../models/store.ts'))}
    console.log(await new ModelStore(${JSON.stringify(dataDir)}).createStaging('chat'))
    setInterval(() => {}, 1000)`
  const child = spawn(process.execPath, ['--input-type=module', '-e', script], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  t.after(() => child.kill('SIGKILL'))
  await once(child.stdout, 'data')

  const store = new ModelStore(dataDir)
  await store.createStaging('talk')
  assert.equal((await readdir(left)).length, 2, 'a living process keeps its folder')

  child.kill('SIGKILL')
  await once(child, 'exit')
  await store.createStaging('talk')
  assert.deepEqual(
    (await readdir(left)).map((name) => name.split('~')[0]),
    ['talk', 'talk'],
  )
})

test('a pid that was given to another process does not protect a leftover', async (t) => {
  const dataDir = await scratchFolder(t)
  const staging = join(dataDir, 'models', '.staging')
  const host = hostname().replaceAll(/[^A-Za-z0-9.-]/g, '-')
  const earlier = join(staging, `chat~${host}~${process.pid}~1~abcdef`)
  await mkdir(earlier, { recursive: true })

  await new ModelStore(dataDir).createStaging('talk')
  await assert.rejects(stat(earlier), { code: 'ENOENT' })
})

test('work of another host is left alone until it has been quiet for an hour', async (t) => {
  const staging = join(await scratchFolder(t), 'models', '.staging')
  const foreign = join(staging, 'chat~elsewhere~17~99~abcdef')
  await mkdir(foreign, { recursive: true })
  const store = new ModelStore(join(staging, '..', '..'))

  await store.createStaging('talk')
  assert.ok((await stat(foreign)).isDirectory())

  const twoHoursAgo = new Date(Date.now() - 2 * 60 * 60 * 1000)
  await utimes(foreign, twoHoursAgo, twoHoursAgo)
  await store.createStaging('talk')
  await assert.rejects(stat(foreign), { code: 'ENOENT' })
})

test('a removed version is gone and its number is never given again', async (t) => {
  const dataDir = await scratchFolder(t)
  const store = new ModelStore(dataDir)
  await publishVersion(store, 'chat')
  await publishVersion(store, 'chat')
  await store.remove('chat@2')

  assert.equal((await store.resolve('chat'))?.id, 'chat@1')
  assert.equal((await publishVersion(store, 'chat')).id, 'chat@3')
  await assert.rejects(
    store.remove('chat@2'),
    new StoreError('There is no version chat@2; there are chat@3, chat@1'),
  )
  await assert.rejects(
    store.remove('chat'),
    new StoreError('There is no version chat; there are chat@3, chat@1'),
  )
})

test('a broken version is reported, passed over, and can be removed', async (t) => {
  const dataDir = await scratchFolder(t)
  const reported: BrokenVersion[] = []
  const store = new ModelStore(dataDir, { onBroken: (broken) => reported.push(broken) })
  await publishVersion(store, 'chat')
  const { folder } = await publishVersion(store, 'chat')
  await rm(join(folder, 'manifest.json'))
  await writeFile(join(folder, 'manifest.json'), '{ "format": 1')
  await mkdir(join(dataDir, 'models', 'empty', '1'), { recursive: true })
  await writeFile(join(dataDir, 'models', 'a-file'), 'not a model')
  await mkdir(join(dataDir, 'models', 'odd'))
  await writeFile(join(dataDir, 'models', 'odd', '1'), 'not a version')

  assert.deepEqual(await store.listModels(), ['chat'])
  assert.equal((await store.resolve('chat'))?.id, 'chat@1')
  assert.equal(await store.resolve('chat@2'), null)
  await assert.rejects(store.get('chat@2'), /^StoreError: chat@2 can't be used: .*manifest\.json/)
  await assert.rejects(store.get('empty'), /^StoreError: empty@1 can't be used/)
  assert.deepEqual(
    reported.map(({ id }) => id).sort(),
    ['chat@2', 'empty@1', 'odd@1'],
    'each once, though each was looked at several times',
  )
  assert.deepEqual(
    (await store.listBroken()).map(({ id }) => id),
    ['chat@2', 'empty@1', 'odd@1'],
  )
  await store.remove('chat@2')
  assert.deepEqual(
    (await store.listBroken()).map(({ id }) => id),
    ['empty@1', 'odd@1'],
  )
})

test('a version folder that was copied under another name is broken', async (t) => {
  const dataDir = await scratchFolder(t)
  const store = new ModelStore(dataDir)
  const { folder, manifest } = await publishVersion(store, 'chat')
  const copy = join(dataDir, 'models', 'talk', '1')
  await mkdir(copy, { recursive: true })
  await writeFile(join(copy, 'manifest.json'), JSON.stringify(manifest))

  assert.equal((await store.resolve('chat'))?.folder, folder)
  const [broken] = await store.listBroken()
  assert.equal(broken?.id, 'talk@1')
  assert.match(broken?.problem ?? '', /is that of chat@1$/)
})

test('a manifest that changes on disk is read again', async (t) => {
  const store = new ModelStore(await scratchFolder(t))
  const { folder, manifest } = await publishVersion(store, 'chat')
  assert.equal((await store.resolve('chat'))?.manifest.licence, 'Apache-2.0')

  const file = join(folder, 'manifest.json')
  await rm(file)
  await writeFile(file, JSON.stringify({ ...manifest, licence: 'MIT' }))
  assert.equal((await store.resolve('chat'))?.manifest.licence, 'MIT')
})

test('a name that could be a path is refused', async (t) => {
  const store = new ModelStore(await scratchFolder(t))
  for (const name of ['../chat', '/chat', 'a/b', '.hidden', '', 'Chat', 'a'.repeat(65), 'a b']) {
    await assert.rejects(store.createStaging(name), /can't be a model's name/, name)
    assert.equal(await store.resolve(name), null, name)
    await assert.rejects(store.get(name), /can't be a model's name/, name)
  }
  assert.equal(await store.resolve('chat@../../etc'), null)
  assert.equal(await store.resolve('chat@01'), null)
})

test('a version is found again by content and precision', async (t) => {
  const store = new ModelStore(await scratchFolder(t))
  const { id, manifest } = await publishVersion(store, 'chat')
  const { sha256 } = manifest.source

  assert.equal((await store.findSame('chat', sha256, 'int8'))?.id, id)
  assert.equal(await store.findSame('chat', sha256, 'int4'), null)
  assert.equal(await store.findSame('chat', 'b'.repeat(64), 'int8'), null)
  assert.equal(await store.findSame('talk', sha256, 'int8'), null)
})

test('a draft that names a file which was not made is not published', async (t) => {
  const dataDir = await scratchFolder(t)
  const store = new ModelStore(dataDir)
  const staging = await store.createStaging('chat')
  await writeFile(join(staging, 'model.onnx'), 'graph')

  await assert.rejects(store.publish(staging, draftOf('chat')), /model\.onnx\.data is missing/)
  assert.equal(await store.resolve('chat'), null)
})

test('a work folder belongs to the process that made it', async (t) => {
  const parent = await scratchFolder(t)
  const path = await createWorkFolder(parent, 'chat')
  assert.match(path, new RegExp(`/chat~[^~/]+~${process.pid}~\\d+~[0-9a-f]{12}$`))
})
