// headrace.yaml as operators change it: mounted by Kubernetes, or behind a link and told by a signal.

import assert from 'node:assert/strict'
import { mkdir, rename, symlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import type { TestContext } from 'node:test'

import { ConfigFile } from '../../../gateway/declared/config-file.ts'
import { makeFolder } from '../../support/folder.ts'
import { recordLog } from '../../support/logger.ts'
import { until } from '../../support/until.ts'

const modelOf = (name: string) => `models: { ${name}: { targets: [{ version: guide }] } }\n`

async function open(t: TestContext, file: string) {
  const models: string[][] = []
  const config = await ConfigFile.open({
    file,
    env: {},
    logger: recordLog().logger,
    onDeclaration: (declaration) => models.push(Object.keys(declaration.models ?? {})),
  })
  t.after(() => config.close())
  return models
}

test('a ConfigMap that Kubernetes replaces is in force shortly after', async (t) => {
  const folder = await makeFolder(t)
  for (const version of ['one', 'two']) {
    await mkdir(join(folder, version))
    await writeFile(join(folder, version, 'headrace.yaml'), modelOf(version))
  }
  await symlink('one', join(folder, '..data'))
  await symlink(join('..data', 'headrace.yaml'), join(folder, 'headrace.yaml'))
  const models = await open(t, join(folder, 'headrace.yaml'))

  await symlink('two', join(folder, '..data_tmp'))
  await rename(join(folder, '..data_tmp'), join(folder, '..data'))
  await until(() => models.length === 2)
  assert.deepEqual(models, [['one'], ['two']])
})

test('SIGHUP reads a file again that changed where nobody watches', async (t) => {
  const [elsewhere, folder] = [await makeFolder(t), await makeFolder(t)]
  const target = join(elsewhere, 'shared.yaml')
  await writeFile(target, modelOf('one'))
  await symlink(target, join(folder, 'headrace.yaml'))
  const models = await open(t, join(folder, 'headrace.yaml'))

  await writeFile(target, modelOf('two'))
  process.kill(process.pid, 'SIGHUP')
  await until(() => models.length === 2)
  assert.deepEqual(models, [['one'], ['two']])
})
