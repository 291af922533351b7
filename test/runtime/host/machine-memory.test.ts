// What a machine, or a container on it, has of memory.

import assert from 'node:assert/strict'
import { mkdir, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { test } from 'node:test'
import type { TestContext } from 'node:test'

import { readMachineMemory } from '../../../runtime/host/machine-memory.ts'
import { temporaryFolder } from '../../support/runtime.ts'

const GIB = 2 ** 30
const MEMINFO = 'MemTotal:       16777216 kB\nMemFree:  1024 kB\nMemAvailable:    8388608 kB\n'

async function machine(t: TestContext, files: Record<string, string>): Promise<string> {
  const root = await temporaryFolder(t)
  for (const [name, text] of Object.entries({ 'proc/meminfo': MEMINFO, ...files })) {
    await mkdir(dirname(join(root, name)), { recursive: true })
    await writeFile(join(root, name), text)
  }
  return root
}

test('without a limit it is the machine that counts', async (t) => {
  const root = await machine(t, {
    'proc/self/cgroup': '0::/user.slice\n',
    'sys/fs/cgroup/user.slice/memory.max': 'max\n',
  })
  assert.deepEqual(readMachineMemory(root), { totalBytes: 16 * GIB, freeBytes: 8 * GIB })
})

test('a container has what its control group allows, and files that are cached count as free', async (t) => {
  const root = await machine(t, {
    'proc/self/cgroup': '0::/\n',
    'sys/fs/cgroup/memory.max': `${4 * GIB}\n`,
    'sys/fs/cgroup/memory.current': `${3 * GIB}\n`,
    'sys/fs/cgroup/memory.stat': `anon ${GIB}\nfile ${2 * GIB}\ninactive_file ${GIB}\n`,
  })
  assert.deepEqual(readMachineMemory(root), { totalBytes: 4 * GIB, freeBytes: 2 * GIB })
})

test('the narrowest of the groups above counts', async (t) => {
  const root = await machine(t, {
    'proc/self/cgroup': '0::/pods/headrace\n',
    'sys/fs/cgroup/pods/memory.max': `${2 * GIB}\n`,
    'sys/fs/cgroup/pods/memory.current': `${GIB}\n`,
    'sys/fs/cgroup/pods/headrace/memory.max': `${12 * GIB}\n`,
    'sys/fs/cgroup/pods/headrace/memory.current': '0\n',
  })
  assert.deepEqual(readMachineMemory(root), { totalBytes: 2 * GIB, freeBytes: GIB })
})

test('where the system says nothing of the kind, Node does', async (t) => {
  const { totalBytes, freeBytes } = readMachineMemory(join(await temporaryFolder(t), 'nothing'))
  assert.ok(totalBytes > 0 && freeBytes > 0 && freeBytes <= totalBytes)
})
