// What is installed is what was looked at: exact releases, known by their content.

import assert from 'node:assert/strict'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import test from 'node:test'

const ROOT = join(import.meta.dirname, '../..')

interface Lock {
  packages: Record<string, { version?: string; integrity?: string; hasInstallScript?: boolean }>
}
interface Package {
  dependencies: Record<string, string>
  devDependencies: Record<string, string>
  allowScripts: Record<string, boolean>
}

const read = async <T>(name: string) =>
  JSON.parse(await readFile(join(ROOT, name), 'utf8')) as Promise<T>

test('every dependency is one exact release, which the lock file knows by its content', async () => {
  const { dependencies, devDependencies } = await read<Package>('package.json')
  const { packages } = await read<Lock>('package-lock.json')
  for (const [name, wanted] of Object.entries({ ...dependencies, ...devDependencies })) {
    assert.match(wanted, /^(npm:\S+@)?\d+\.\d+\.\d+(-[\w.]+)?$/, name)
    assert(packages[`node_modules/${name}`], `${name} is not in the lock file`)
  }
  for (const [path, { integrity = '' }] of Object.entries(packages)) {
    if (path !== '') assert.match(integrity, /^sha512-/, path)
  }
})

test('no package runs anything when it is installed but those that were decided on', async () => {
  const { allowScripts } = await read<Package>('package.json')
  const { packages } = await read<Lock>('package-lock.json')
  for (const [path, { hasInstallScript }] of Object.entries(packages)) {
    const name = path.slice(path.lastIndexOf('node_modules/') + 'node_modules/'.length)
    if (hasInstallScript)
      assert(name in allowScripts, `${name} has a script that nobody decided on`)
  }
})
