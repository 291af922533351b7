import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFile, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import test from 'node:test'
import type { TestContext } from 'node:test'

import { keepAdminKey } from '../../../gateway/callers/admin-key.ts'
import { DataFolderHeld, lockDataFolder } from '../../../gateway/process/data-folder.ts'
import { makeFolder } from '../../support/folder.ts'
import { defer } from '../../support/lasting.ts'
import type { Holder } from '../../../gateway/process/data-folder.ts'

/** Holds the lock in another process until that is killed. */
async function holdElsewhere(t: TestContext, dataDir: string, holder: Holder) {
  const module = join(import.meta.dirname, '../../../gateway/process/data-folder.ts')
  const script = `
    const { lockDataFolder } = await import(${JSON.stringify(module)})
    const lock = await lockDataFolder(${JSON.stringify(dataDir)}, '${holder}')
    console.log('held')
    setInterval(() => lock, 1000)`
  const child = spawn(process.execPath, ['--input-type=module-typescript', '-e', script])
  const ended = once(child, 'exit')
  defer(t, async () => {
    child.kill('SIGKILL')
    await ended
  })
  await once(child.stdout, 'data')
  return { pid: child.pid, kill: () => child.kill('SIGKILL'), ended }
}

test('a folder that a server has is refused at once, naming its process', async (t) => {
  const dataDir = await makeFolder(t)
  const other = await holdElsewhere(t, dataDir, 'server')
  await assert.rejects(lockDataFolder(dataDir, 'server'), (error) => {
    assert.ok(error instanceof DataFolderHeld)
    assert.equal(error.holder, 'server')
    assert.match(error.message, new RegExp(`in use by another Headrace \\(process ${other.pid}\\)`))
    return true
  })
})

test('a process that is killed holds nothing any more', async (t) => {
  const dataDir = await makeFolder(t)
  const other = await holdElsewhere(t, dataDir, 'server')
  other.kill()
  await other.ended
  const lock = await lockDataFolder(dataDir, 'server')
  lock.release()
})

test('a command is waited for', async (t) => {
  const dataDir = await makeFolder(t)
  const other = await holdElsewhere(t, dataDir, 'command')
  const locking = lockDataFolder(dataDir, 'server')
  other.kill()
  const lock = await locking
  lock.release()
})

test('a data folder that can not be made is named, with the reason', async (t) => {
  const file = join(await makeFolder(t), 'file')
  await writeFile(file, '')
  await assert.rejects(
    lockDataFolder(join(file, 'data'), 'server'),
    /file\/data can't be used: ENOTDIR/,
  )
})

test('the admin key is made once, and only its owner can read it', async (t) => {
  const dataDir = await makeFolder(t)
  const made = await keepAdminKey(dataDir, null)
  assert.ok(made.isNew)
  assert.match(made.key, /^hr_admin_[\w-]{43}$/)
  assert.equal((await stat(made.file!)).mode & 0o777, 0o600)
  assert.equal((await readFile(made.file!, 'utf8')).trim(), made.key)
  assert.deepEqual(await keepAdminKey(dataDir, null), { ...made, isNew: false })
})

test("the operator's own admin key is not written anywhere", async (t) => {
  const dataDir = await makeFolder(t)
  const kept = await keepAdminKey(dataDir, 'an-admin-key-of-mine')
  assert.deepEqual(kept, { key: 'an-admin-key-of-mine', file: null, isNew: false })
  await assert.rejects(stat(join(dataDir, 'admin-key')), /ENOENT/)
})
