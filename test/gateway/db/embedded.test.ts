import assert from 'node:assert/strict'
import { once } from 'node:events'
import { spawn } from 'node:child_process'
import { chmod, chown, mkdir, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import test, { before } from 'node:test'
import type { TestContext } from 'node:test'

import { EmbeddedPostgres, findEmbedded } from '../../../gateway/db/embedded.ts'
import { createPool } from '../../../gateway/db/pool.ts'
import { makeFolder } from '../../support/folder.ts'
import { defer, lastingFile } from '../../support/lasting.ts'
import { recordLog } from '../../support/logger.ts'
import { processesOf } from '../../support/process.ts'
import type { Connection } from '../../../gateway/db/pool.ts'

const isRoot = process.getuid?.() === 0
const NOBODY = { uid: 65_534, gid: 65_534 }

async function ask(connection: Connection, sql: string): Promise<unknown> {
  const pool = createPool(connection, recordLog().logger)
  try {
    return (await pool.query<{ answer: unknown }>(sql)).rows[0]?.answer
  } finally {
    await pool.end()
  }
}

async function start(t: TestContext, dataDir: string) {
  const { logger, messages } = recordLog()
  const server = await EmbeddedPostgres.start({ dataDir, logger, isDurable: false })
  defer(t, () => server.stop())
  return { server, messages }
}

/** Starts a server in a process of its own, as a user, and says so on stdout. */
async function startElsewhere(t: TestContext, dataDir: string, runAs = {}) {
  const module = join(import.meta.dirname, '../../../gateway/db/embedded.ts')
  const script = `
    const { EmbeddedPostgres } = await import(${JSON.stringify(module)})
    const silent = () => {}
    const logger = { debug: silent, info: silent, warn: silent, error: silent }
    const dataDir = ${JSON.stringify(dataDir)}
    const server = await EmbeddedPostgres.start({ dataDir, logger, isDurable: false })
    console.log(server.pid)
    process.once('SIGTERM', () => server.stop())`
  const child = spawn(process.execPath, ['--input-type=module-typescript', '-e', script], {
    ...runAs,
    cwd: '/',
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  const ended = once(child, 'close')
  defer(t, async () => {
    child.kill('SIGTERM')
    await ended
  })
  const [pid] = (await Promise.race([
    once(child.stdout, 'data'),
    ended.then(([code]) => assert.fail(`ended with ${String(code)}`)),
  ])) as [Buffer]
  // PostgreSQL takes connections a moment before it notes that it does.
  let connection = await findEmbedded(dataDir)
  while (!connection) {
    await tick()
    connection = await findEmbedded(dataDir)
  }
  return { child, ended, pid: Number(pid), connection }
}

// Making a cluster takes most of a test's time, so those that need no new one go on with the one before.
let dataDir = ''
const file = lastingFile()
before(async () => {
  const folder = await makeFolder(file)
  dataDir = join(folder, 'a folder with spaces', 'x'.repeat(150))
  await mkdir(dataDir, { recursive: true })
})

test('what was written is there after a restart, in a folder with spaces and a long path', async (t) => {
  const first = await start(t, dataDir)
  await ask(first.server.connection, "CREATE TABLE kept AS SELECT 'it' AS answer")
  await first.server.stop()
  const second = await start(t, dataDir)
  assert.equal(await ask(second.server.connection, 'SELECT answer FROM kept'), 'it')
})

test('nothing is left when it has stopped: no process, no socket', async (t) => {
  const { server } = await start(t, dataDir)
  const sockets = server.connection.host!
  await stat(sockets)
  await server.stop()
  assert.deepEqual(await processesOf(dataDir), [])
  await assert.rejects(stat(sockets), /ENOENT/)
})

test('it can only be reached through its private folder and with its password', async (t) => {
  const { server } = await start(t, dataDir)
  const { connection } = server
  assert.equal(await ask(connection, "SELECT current_setting('listen_addresses') AS answer"), '')
  assert.equal((await stat(connection.host!)).mode & 0o777, 0o700)
  assert.equal((await stat(join(dataDir, 'postgres', 'password'))).mode & 0o777, 0o600)
  await assert.rejects(ask({ ...connection, password: 'a guess' }, 'SELECT 1'), /password/)
})

test('a command finds the server of a Headrace that runs', async (t) => {
  assert.equal(await findEmbedded(dataDir), null)
  const { server } = await start(t, dataDir)
  let found = null
  while (!found) found = await findEmbedded(dataDir)
  assert.deepEqual(found, server.connection)
  await server.stop()
  assert.equal(await findEmbedded(dataDir), null)
})

test('a server whose Headrace was killed ends, and so does one whose watchdog was killed too, at the next start', async (t) => {
  const first = await startElsewhere(t, dataDir)
  first.child.kill('SIGKILL')
  while ((await processesOf(join(dataDir, 'postgres'))).length > 0) await tick()

  const second = await startElsewhere(t, dataDir)
  for (const pid of await watchdogsOf(second.pid)) process.kill(pid, 'SIGKILL')
  second.child.kill('SIGKILL')
  await second.ended
  process.kill(second.pid, 0)

  const { server, messages } = await start(t, dataDir)
  assert.ok(messages().some((message) => /still running from an earlier start/.test(message)))
  assert.equal(await ask(server.connection, 'SELECT answer FROM kept'), 'it')
})

test('after everything was killed at once, it starts and has what was written', async (t) => {
  const { child, ended, pid, connection } = await startElsewhere(t, dataDir)
  await ask(connection, "CREATE TABLE newer AS SELECT 'that' AS answer")
  process.kill(pid, 'SIGKILL')
  child.kill('SIGKILL')
  await ended
  const { server } = await start(t, dataDir)
  assert.equal(await ask(server.connection, 'SELECT answer FROM newer'), 'that')
})

test('a process that was given the number of a server that is gone is left alone', async (t) => {
  const { server } = await start(t, dataDir)
  const path = join(dataDir, 'postgres', 'cluster', 'postmaster.pid')
  const text = await readFile(path, 'utf8')
  await server.stop()
  const owner = await stat(dirname(path))
  await writeFile(path, text.replace(/^\d+/, String(process.pid)))
  await chown(path, owner.uid, owner.gid)
  const again = await start(t, dataDir)
  assert.equal(await ask(again.server.connection, 'SELECT 1 AS answer'), 1)
})

test('a server that dies is started again', async (t) => {
  const { server, messages } = await start(t, dataDir)
  const { pid } = server
  process.kill(pid, 'SIGKILL')
  while (server.pid === pid) await tick()
  assert.ok(messages().some((message) => /ended by itself \(SIGKILL\)/.test(message)))
  assert.equal(await ask(server.connection, 'SELECT 1 AS answer'), 1)
})

test('a server that dies and is told to stop at once is not started again', async (t) => {
  const { server } = await start(t, dataDir)
  process.kill(server.pid, 'SIGKILL')
  await server.stop()
  assert.deepEqual(await processesOf(dataDir), [])
})

test('a first start that was interrupted is begun again', async (t) => {
  const dataDir = await makeFolder(t)
  const partial = join(dataDir, 'postgres', 'cluster.partial')
  if (isRoot) {
    const { server } = await start(t, dataDir)
    await server.stop()
    await rm(join(dataDir, 'postgres', 'cluster'), { recursive: true })
  }
  await mkdir(partial, { recursive: true, mode: 0o700 })
  await writeFile(join(partial, 'PG_VERSION'), '18\n')
  const { server } = await start(t, dataDir)
  assert.equal(await ask(server.connection, 'SELECT 1 AS answer'), 1)
  assert.deepEqual((await readdir(join(dataDir, 'postgres'))).sort(), ['cluster', 'password'])
})

test(
  'started by root it runs as another user, also below a folder that only root can enter',
  { skip: !isRoot && 'the tests do not run as root' },
  async (t) => {
    const closed = await makeFolder(t)
    await chmod(closed, 0o700)
    const { server, messages } = await start(t, closed)
    const status = await readFile(`/proc/${server.pid}/status`, 'utf8')
    assert.notEqual(/^Uid:\s+(\d+)/m.exec(status)?.[1], '0')
    const kept = messages().find((message) => message.startsWith('the database is kept in '))
    const folder = /kept in (\S+):/.exec(kept ?? '')?.[1]
    assert.ok(folder?.startsWith('/var/lib/headrace/'))
    defer(t, () => rm(String(folder), { recursive: true }))
  },
)

test(
  'an ordinary user can start it, and root can go on with what that user has',
  { skip: !isRoot && 'the tests do not run as root' },
  async (t) => {
    const dataDir = await makeFolder(t)
    await chown(dataDir, NOBODY.uid, NOBODY.gid)
    const { child, ended, connection } = await startElsewhere(t, dataDir, NOBODY)
    await ask(connection, "CREATE TABLE kept AS SELECT 'it' AS answer")
    child.kill('SIGTERM')
    await ended
    const { server } = await start(t, dataDir)
    assert.equal(await ask(server.connection, 'SELECT answer FROM kept'), 'it')
    assert.equal((await stat(join(dataDir, 'postgres'))).uid, NOBODY.uid)
  },
)

async function watchdogsOf(pid: number): Promise<number[]> {
  const pids = (await readdir('/proc')).filter((name) => /^\d+$/.test(name))
  const found: number[] = []
  for (const candidate of pids) {
    const command = await readFile(`/proc/${candidate}/cmdline`, 'utf8').catch(() => '')
    const args = command.split('\0')
    if (args[0] === '/bin/sh' && args.includes(String(pid))) found.push(Number(candidate))
  }
  return found
}

function tick(): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, 10))
}
