// A runtime for one test: real server, real socket, real processes, with fake engines unless told otherwise.

import { readFileSync } from 'node:fs'
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import type { TestContext } from 'node:test'

import { createRuntimeClient } from '../../runtime/client.ts'
import { startRuntime } from '../../runtime/main.ts'
import type { Runtime } from '../../runtime/client.ts'
import type { Logger } from '../../runtime/logger.ts'
import type { GenerateEvent, GenerateRequest } from '../../runtime/protocol.ts'
import type { RuntimeSettings } from '../../runtime/settings.ts'
import type { FakePrompt, FakeScript, JournalEntry } from './fake-engine.ts'

export const FAKE_ENGINE = fileURLToPath(new URL('./fake-engine.ts', import.meta.url))

export interface LogLine {
  level: 'info' | 'warn' | 'error'
  context: object
  message: string
}

export interface TestRuntime {
  client: Runtime
  address: string
  dataDir: string
  log: LogLine[]
  close(): Promise<void>
  /** makes version `name@1`, which the fake engine loads as `script` says */
  addVersion(name: string, script?: FakeScript): Promise<string>
  journal(version: string): Promise<JournalEntry[]>
}

/** A folder that is gone after the test. */
export async function temporaryFolder(t: TestContext): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'headrace-test-'))
  t.after(() => rm(folder, { recursive: true, force: true }))
  return folder
}

export async function startTestRuntime(
  t: TestContext,
  settings: Partial<RuntimeSettings> = {},
): Promise<TestRuntime> {
  const dataDir = await temporaryFolder(t)
  const log: LogLine[] = []
  const runtime = await startRuntime(
    { dataDir, address: `unix:${dataDir}/runtime.sock`, drainMs: 5_000, ...settings },
    recordingLogger(log),
    { engineEntry: FAKE_ENGINE },
  )
  const { address } = runtime
  const client = createRuntimeClient({ address, token: settings.token })
  t.after(async () => {
    await client.close()
    await runtime.close()
  })
  return {
    client,
    address,
    dataDir,
    log,
    close: () => runtime.close(),
    addVersion: (name, script) => addFakeVersion(dataDir, name, script),
    journal: (version) => readJournal(dataDir, version),
  }
}

export async function addFakeVersion(
  dataDir: string,
  name: string,
  script: FakeScript = {},
): Promise<string> {
  const folder = join(dataDir, 'models', name, '1')
  await mkdir(folder, { recursive: true })
  await writeFile(join(folder, 'manifest.json'), '{}')
  await writeFile(join(folder, 'script.json'), JSON.stringify(script))
  return `${name}@1`
}

/** Makes version `name@1`, an adapter that the engine of `base` takes in. */
export async function addFakeAdapter(dataDir: string, name: string, base: string): Promise<string> {
  const folder = join(dataDir, 'models', name, '1')
  await mkdir(folder, { recursive: true })
  const adapter = { form: 'resident', base: { version: base } }
  await writeFile(join(folder, 'manifest.json'), JSON.stringify({ adapter }))
  return `${name}@1`
}

async function readJournal(dataDir: string, version: string): Promise<JournalEntry[]> {
  const path = join(dataDir, 'models', version.replace('@', '/'), 'journal')
  const lines = (await readFile(path, 'utf8').catch(() => '')).split('\n').filter(Boolean)
  return lines.map((line) => JSON.parse(line) as JournalEntry)
}

export function recordingLogger(log: LogLine[]): Logger {
  const at = (level: LogLine['level']) => (context: object, message: string) => {
    log.push({ level, context, message })
  }
  return { info: at('info'), warn: at('warn'), error: at('error') }
}

let requests = 0

export function fakeRequest(version: string, prompt: FakePrompt = {}): GenerateRequest {
  return {
    id: `request-${requests++}`,
    version,
    prompt: { kind: 'text', text: JSON.stringify(prompt) },
    sampling: {},
    stop: [],
  }
}

export async function collect(events: AsyncIterable<GenerateEvent>): Promise<GenerateEvent[]> {
  const collected: GenerateEvent[] = []
  for await (const event of events) collected.push(event)
  return collected
}

/** Reads in the background; resolves once the answer has begun to come. */
export async function begin(
  events: AsyncIterable<GenerateEvent>,
): Promise<{ answer: Promise<GenerateEvent[]> }> {
  const begun = Promise.withResolvers<void>()
  const read = async () => {
    const collected: GenerateEvent[] = []
    for await (const event of events) {
      collected.push(event)
      if (event.type === 'delta') begun.resolve()
    }
    return collected
  }
  const answer = read()
  answer.catch((error: unknown) => begun.reject(error))
  await begun.promise
  return { answer }
}

export function textOf(events: GenerateEvent[]): string {
  return events.map((event) => (event.type === 'delta' ? event.text : '')).join('')
}

/** Polls, for what other processes do; fails with `what` where it does not come true in time. */
export async function eventually(
  what: string,
  isTrue: () => boolean | Promise<boolean>,
  timeoutMs = 5_000,
): Promise<void> {
  const deadline = performance.now() + timeoutMs
  while (!(await isTrue())) {
    if (performance.now() > deadline) throw new Error(`Not within ${timeoutMs} ms: ${what}`)
    await sleep(5)
  }
}

/** What has ended but was not yet waited for by its parent counts as gone. */
export function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return !/^State:\s+Z/m.test(readFileSync(`/proc/${pid}/status`, 'utf8'))
  } catch {
    return false
  }
}
