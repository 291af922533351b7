// Every command of `headrace`, put together.
//
// What a command runs is loaded when it runs: each process of a server starts this way, and loads what it needs.
//
// Knows: names, options, help. Does not know: process.env and the terminal, which main.ts hands over.

import { availableParallelism } from 'node:os'

import { Command } from 'commander'

import { auditCommand } from './audit.ts'
import { catalogCommand } from './catalog.ts'
import { createLogger } from './console-log.ts'
import { deploymentCommands } from './deployments.ts'
import { doctorCommand } from './doctor.ts'
import { endUsersCommand } from './end-users.ts'
import { exportCommand } from './export.ts'
import { feedbackCommand } from './feedback.ts'
import { exchangesCommand } from './exchanges.ts'
import { keysCommand } from './keys.ts'
import { live } from './lifetime.ts'
import { modelsCommand } from './models.ts'
import { projectsCommand } from './projects.ts'
import { usageCommand } from './usage.ts'
import { webhooksCommand } from './webhooks.ts'
import { ConfigError, loadConfig, presumeConfig } from '../gateway/settings/config.ts'
import { readSecretFiles } from '../gateway/settings/secret-files.ts'
import type { DatabaseCommandDeps } from './database.ts'
import type { Output } from './progress.ts'
import type { Settings } from '../gateway/settings/settings.ts'

export interface ProgramDeps {
  /** of this build */
  release: string
  env: NodeJS.ProcessEnv
  stdout: Output
  stderr: Output
  /** to the standard output, no faster than it is read */
  writeBytes(chunks: AsyncIterable<Uint8Array>): Promise<void>
  setExitCode(code: number): void
}

export function createProgram(deps: ProgramDeps): Command {
  const { release, env, stdout, stderr } = deps
  const isTerminal = stderr.isTTY === true
  const serveWith = async (settings: Settings, hasOwnRuntime: boolean) => {
    const { serve } = await import('./serve.ts')
    const logger = createLogger('gateway', settings.logLevel, isTerminal)
    const options = { settings, hasOwnRuntime, release, env, logger, stdout, stderr }
    await live(logger, (life) => serve(options, life))
  }

  const program = new Command('headrace')
    .description('A self-hosted model-serving gateway with its own inference runtime.')
    .version(release, '-V, --version', 'say which release this is')
    .addHelpText('after', '\nSettings come from the environment; docs/settings.md lists them.')
    // Wrong settings are told whatever the command is, before it does anything.
    .hook('preAction', () => void loadConfig(env))

  program
    .command('serve')
    .description('start everything: database, runtime and gateway')
    .addHelpText('after', '\nExample:\n  HEADRACE_PORT=9000 headrace serve')
    .action(() => serveWith(loadConfig(env), true))

  program
    .command('gateway')
    .description('start a gateway alone, in front of upstreams and the runtimes of RUNTIME_URLS')
    .addHelpText(
      'after',
      '\nExample:\n  RUNTIME_URLS=http://gpu-1:8090,http://gpu-2:8090 headrace gateway' +
        '\n  HEADRACE_DEFAULT_MODEL=none headrace gateway   # upstreams alone',
    )
    .action(() => {
      const settings = loadConfig(env)
      if (settings.runtimeUrls || settings.defaultModel === null) return serveWith(settings, false)
      throw new ConfigError([
        'RUNTIME_URLS is not set; headrace gateway needs it, or HEADRACE_DEFAULT_MODEL=none for upstreams alone. ' +
          'headrace serve starts a runtime itself.',
      ])
    })

  program
    .command('runtime')
    .description('start a runtime alone, listening on HEADRACE_RUNTIME_LISTEN')
    .addHelpText(
      'after',
      '\nExample:\n  HEADRACE_RUNTIME_LISTEN=unix:/run/headrace.sock headrace runtime',
    )
    .action(async () => {
      const { runRuntimeCommand } = await import('./runtime.ts')
      const settings = loadConfig(env)
      return runRuntimeCommand(settings, createLogger('runtime', settings.logLevel, isTerminal))
    })
    .addCommand(doctorCommand({ ...deps, loadSettings: () => loadConfig(env) }))

  program
    .command('log-writer')
    .description('write to PostgreSQL what gateways publish to the broker of LOG_BROKER_URL')
    .addHelpText(
      'after',
      '\nExample:\n  LOG_BROKER_URL=amqps://headrace:…@broker DATABASE_URL=postgresql://… headrace log-writer',
    )
    .action(async () => {
      const { runLogWriter } = await import('./log-writer.ts')
      const settings = loadConfig(env)
      const logger = createLogger('log-writer', settings.logLevel, isTerminal)
      await live(logger, (life) => runLogWriter(settings, logger, life))
    })

  // Only help texts are seen of these where a setting is wrong: the hook ends every command.
  const { dataDir, precision, threads } = presumeConfig(env)
  const models = { dataDir, precision, threads: threads ?? availableParallelism() }
  const { env: withSecrets } = readSecretFiles(env)
  const loadSettings = () => loadConfig(env)
  program.addCommand(modelsCommand({ ...deps, ...models, env: withSecrets, loadSettings }))
  const database: DatabaseCommandDeps = {
    loadSettings: () => loadConfig(env),
    createLogger: ({ logLevel }) =>
      // Starting a database for a moment is no news; what goes wrong is.
      createLogger('command', logLevel === 'info' ? 'warn' : logLevel, isTerminal),
    stdout,
  }
  for (const command of deploymentCommands(database)) program.addCommand(command)
  program.addCommand(keysCommand(database))
  program.addCommand(projectsCommand(database))
  program.addCommand(auditCommand(database))
  program.addCommand(catalogCommand(database))
  program.addCommand(exchangesCommand(database))
  program.addCommand(endUsersCommand({ ...database, writeBytes: deps.writeBytes }))
  program.addCommand(exportCommand({ ...database, stderr, writeBytes: deps.writeBytes }))
  program.addCommand(feedbackCommand({ ...database, env }))
  program.addCommand(usageCommand(database))
  program.addCommand(webhooksCommand(database))
  for (const command of withSubcommands(program)) {
    command
      .exitOverride()
      .configureOutput({
        writeOut: (text) => stdout.write(text),
        writeErr: (text) => stderr.write(text),
      })
      .showHelpAfterError('Add --help to see what is allowed.')
  }
  return program
}

function withSubcommands(command: Command): Command[] {
  return [command, ...command.commands.flatMap(withSubcommands)]
}
