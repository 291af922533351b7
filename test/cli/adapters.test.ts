// `headrace models import --base` on tiny checkpoints.

import assert from 'node:assert/strict'
import { mkdir, rename, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import type { TestContext } from 'node:test'

import { modelsCommand } from '../../cli/models.ts'
import { loadConfig } from '../../gateway/settings/config.ts'
import type { Manifest } from '../../models/manifest.ts'
import { writeFolder } from '../runtime/checkpoint/tiny-models.ts'
import { writeAdapter } from '../support/adapter.ts'
import { makeFolder } from '../support/folder.ts'
import { randomCheckpoint, TINY } from '../support/random-checkpoint.ts'

async function workshop(t: TestContext) {
  const root = await makeFolder(t, 'adapters')
  const base = join(root, 'tiny-base')
  const adapter = join(root, 'support')
  await mkdir(base)
  await mkdir(adapter)
  const checkpoint = randomCheckpoint(TINY)
  await writeFolder(base, checkpoint)
  await writeAdapter(adapter, checkpoint)
  return { base, adapter, run: (...args: string[]) => run(join(root, 'data'), args) }
}

async function run(dataDir: string, args: string[]) {
  const written = { stdout: '', stderr: '', code: 0 }
  const models = modelsCommand({
    dataDir,
    precision: 'fp32',
    threads: 1,
    env: {},
    loadSettings: () => loadConfig({}),
    stdout: { write: (text) => (written.stdout += text) },
    stderr: { write: (text) => (written.stderr += text) },
    setExitCode: (given) => (written.code = given),
  })
  await models.parseAsync(args, { from: 'user' })
  return written
}

test('an adapter is imported merged into a version of the library, and remembers both', async (t) => {
  const { base, adapter, run } = await workshop(t)
  assert.equal((await run('import', base)).code, 0)
  const imported = await run('import', adapter, '--base', 'tiny-base')
  assert.equal(imported.code, 0, imported.stderr)
  const show = async (id: string) =>
    JSON.parse((await run('show', id, '--json')).stdout) as Manifest
  const merged = await show('support@1')
  const plain = await show('tiny-base@1')
  assert.equal(merged.source.reference, adapter)
  assert.notEqual(merged.source.sha256, plain.source.sha256)
  assert.deepEqual(merged.adapter, {
    form: 'merged',
    rank: 4,
    alpha: 8,
    modules: ['down_proj', 'gate_proj', 'k_proj', 'o_proj', 'q_proj', 'up_proj', 'v_proj'],
    base: { version: 'tiny-base@1', source: plain.source },
  })
  assert.notEqual(merged.files['model.onnx.data']?.sha256, plain.files['model.onnx.data']?.sha256)
  assert.match((await run('show', 'support')).stdout, /\nbase +tiny-base@1\n/)

  assert.match((await run('import', adapter, '--base', 'tiny-base')).stdout, /is there already/)
  const bySource = await run('import', adapter, '--base', base, '--name', 'other')
  assert.equal(bySource.code, 0, bySource.stderr)
  assert.equal((await show('other')).adapter?.base.version, null)
})

test('an adapter that stays apart holds its own values only, and belongs to a version', async (t) => {
  const { base, adapter, run } = await workshop(t)
  await run('import', base)
  const apart = ['import', adapter, '--adapter', '--base']
  const imported = await run(...apart, 'tiny-base')
  assert.equal(imported.code, 0, imported.stderr)
  const { stdout } = await run('show', 'support@1', '--json')
  const manifest = JSON.parse(stdout) as Manifest
  assert.equal(manifest.adapter?.form, 'resident')
  assert.equal(manifest.adapter?.base.version, 'tiny-base@1')
  const files = ['adapter.safetensors', 'tokenizer.json', 'tokenizer_config.json']
  assert.deepEqual(Object.keys(manifest.files), files)
  assert.match((await run('verify', 'support')).stdout, /support@1 is as its manifest says/)
  assert.match((await run(...apart, 'tiny-base')).stdout, /support@1 is there already/)
  // Merged it is another version, and of the next version of the base another adapter.
  assert.match(
    (await run('import', adapter, '--base', 'tiny-base')).stdout,
    /support@2 is imported/,
  )
  await run('import', base, '--force')
  assert.match((await run(...apart, 'tiny-base')).stdout, /support@3 is imported/)

  const nowhere = await run(...apart, base)
  assert.equal(nowhere.code, 1)
  assert.match(nowhere.stderr, /belongs to a version of the library, and --base names none/)
  assert.match((await run('import', adapter, '--adapter')).stderr, /--adapter needs --base/)
  assert.match((await run(...apart, 'support@2')).stderr, /support@2 has an adapter in it already/)
})

test('a base that is not what its version was made of any more is refused', async (t) => {
  const { base, adapter, run } = await workshop(t)
  await run('import', base)
  await writeFile(join(base, 'generation_config.json'), '{"temperature":0.5}')
  const { code, stderr } = await run('import', adapter, '--base', 'tiny-base@1')
  assert.equal(code, 1)
  assert.match(stderr, /is not what tiny-base@1 was made of any more/)
})

test('an adapter without a base, and a base without an adapter, are refused with what is missing', async (t) => {
  const { base, adapter, run } = await workshop(t)
  const without = await run('import', adapter)
  assert.equal(without.code, 1)
  assert.match(without.stderr, /holds a LoRA adapter .* name the model that it is for with --base/)
  const other = await run('import', base, '--base', base)
  assert.equal(other.code, 1)
  assert.match(other.stderr, /holds no LoRA adapter \(adapter_config\.json with/)
  await rename(join(adapter, 'adapter_model.safetensors'), join(adapter, 'adapter_model.bin'))
  const pickled = await run('import', adapter, '--base', base)
  assert.equal(pickled.code, 1)
  assert.match(pickled.stderr, /only adapter_model\.bin, which can't be read without running code/)
})
