import assert from 'node:assert/strict'
import test from 'node:test'

import { CommanderError } from 'commander'
import type { Command } from 'commander'

import { createProgram } from '../../cli/program.ts'
import { runProgram } from '../../cli/run.ts'

const silent = { write: () => true }
const DEPS = {
  release: '1.2.3',
  env: {},
  stdout: silent,
  stderr: silent,
  writeBytes: () => Promise.resolve(),
  setExitCode: () => {},
}

/** What a command says, and the error that it ends with where it never came to run. */
async function run(args: string[], env: NodeJS.ProcessEnv = {}) {
  let text = ''
  const output = { write: (more: string) => (text += more) }
  const program = createProgram({ ...DEPS, env, stdout: output, stderr: output })
  const error: unknown = await program.parseAsync(args, { from: 'user' }).catch((caught) => caught)
  return { text, error }
}

/** `keys create` and all others that do something. */
function leavesOf(command: Command, path: string[] = []): string[] {
  if (command.commands.length === 0) return [path.join(' ')]
  return command.commands.flatMap((inner) => leavesOf(inner, [...path, inner.name()]))
}

test('every command explains itself with an example', async () => {
  const commands = leavesOf(createProgram(DEPS)).filter((command) => command !== 'help')
  assert.ok(commands.length > 20, commands.join(', '))
  for (const command of commands) {
    const { text, error } = await run([...command.split(' '), '--help'])
    assert.ok(error instanceof CommanderError && error.exitCode === 0)
    assert.match(text, new RegExp(`Usage: headrace ${command}`))
    assert.match(text, new RegExp(`Example:\\n.*headrace ${command}( |\\n|$)`))
  }
})

test('help and release are told whatever the settings are', async () => {
  const env = { HEADRACE_PORT: 'x', HEADRACE_RUNTIME_LISTEN: 'http://0.0.0.0:1' }
  assert.equal((await run(['--version'], env)).text, '1.2.3\n')
  assert.match((await run(['models', '--help'], env)).text, /Usage: headrace models/)
})

test('arguments that make no sense are refused with what is allowed', async () => {
  for (const [args, words] of [
    [['keys', 'create'], /missing required argument 'name'/],
    [['keys', 'create', 'bot', '--role', 'king'], /Allowed choices are caller, developer, admin/],
    [['keys', 'create', '\tbot'], /Allowed are letters, digits, spaces/],
    [['keys', 'create', 'bot', '--requests-per-minute', '1.5'], /a whole number, or none/],
    [['keys', 'create', 'bot', '--expires', 'soon'], /a while from now such as 30d, and never/],
    [['keys', 'rotate', 'bot', '--overlap', '5'], /90s, 15m, 12h, 30d/],
    [['keys', 'create', 'bot', '--tag', 'x'], /Allowed is name=value/],
    [['audit', '--since', 'never'], /Allowed is a time such as/],
    [['serve', '--port', '1'], /unknown option '--port'/],
    [['deploy', 'guide'], /'guide' is invalid .* Allowed is model@number, such as/],
    [['deploy', 'guide@1=90', 'guide@2=x'], /'guide@2=x' is invalid .*model@number=weight/],
  ] as const) {
    const { text, error } = await run([...args])
    assert.ok(error instanceof CommanderError && error.exitCode !== 0, args.join(' '))
    assert.match(text, words)
  }
})

test('what a command finds out by itself is told, with the exit code of what makes no sense', async () => {
  let said = ''
  const codes: number[] = []
  await runProgram(['shadow', 'guide'], {
    ...DEPS,
    stderr: { write: (text) => (said += text) },
    setExitCode: (code) => codes.push(code),
  })
  assert.match(said, /^headrace: 'guide' is no version\. Allowed is model@number, or the model/)
  assert.deepEqual(codes, [2])
})

test('a gateway alone needs to be told where the runtimes are', async () => {
  const { error } = await run(['gateway'])
  assert.match(
    String(error),
    /RUNTIME_URLS is not set; headrace gateway needs it, or HEADRACE_DEFAULT/,
  )
})
