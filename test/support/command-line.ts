// `headrace …` in the test's own process, on a database of its own: what a process costs is paid where processes are what
// a test is about (test/cli/launcher.test.ts, test/cli/keys.test.ts).

import { Buffer } from 'node:buffer'
import type { TestContext } from 'node:test'

import { createProgram } from '../../cli/program.ts'
import { runProgram } from '../../cli/run.ts'
import { makeFolder } from './folder.ts'
import { databaseUrlOf } from './postgres.ts'
import type { Pool } from '../../gateway/db/pool.ts'
import type { TestPostgres } from './postgres.ts'

interface Said {
  code: number
  stdout: string
  stderr: string
  /** all of it, in its order */
  text: string
}

export interface CommandLine {
  dataDir: string
  /** what the commands read and change */
  pool: Pool
  run(...args: string[]): Promise<Said>
}

/** Commands for a server that runs. @returns what runs one: it resolves with all that was said, and rejects with its error */
export function commandLineOf(env: Record<string, string>) {
  return async (...args: string[]): Promise<string> => {
    let said = ''
    const output = { write: (text: string) => void (said += text) }
    const program = createProgram({
      release: '0.0.0-test',
      env,
      stdout: output,
      stderr: output,
      writeBytes: async () => {},
      setExitCode: () => {},
    })
    await program.parseAsync(args, { from: 'user' })
    return said.trim()
  }
}

export async function startCommandLine(
  t: TestContext,
  postgres: TestPostgres,
  env: Record<string, string> = {},
): Promise<CommandLine> {
  const dataDir = await makeFolder(t)
  const pool = await postgres.pool(t)
  const settings = { HEADRACE_DATA_DIR: dataDir, DATABASE_URL: databaseUrlOf(pool), ...env }
  const run = async (...args: string[]): Promise<Said> => {
    const said: Said = { code: 0, stdout: '', stderr: '', text: '' }
    const add = (where: 'stdout' | 'stderr', text: string) => {
      said[where] += text
      said.text += text
    }
    await runProgram(args, {
      release: '0.0.0-test',
      env: settings,
      stdout: { write: (text) => add('stdout', text) },
      stderr: { write: (text) => add('stderr', text) },
      writeBytes: async (chunks) => {
        const read: Uint8Array[] = []
        for await (const chunk of chunks) read.push(chunk)
        add('stdout', Buffer.concat(read).toString())
      },
      setExitCode: (code) => (said.code = code),
    })
    return said
  }
  return { dataDir, pool, run }
}
