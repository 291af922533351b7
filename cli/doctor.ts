// `headrace runtime doctor`: what a runtime here could compute on, and what is missing for the device that is wished for.

import { Command, InvalidArgumentError, Option } from 'commander'

import type { Findings } from '../runtime/doctor/doctor.ts'
import { parseDevice } from '../runtime/ort/device-choice.ts'
import type { Settings } from '../gateway/settings/settings.ts'
import type { Output } from './progress.ts'
import { json } from './table.ts'

interface DoctorDeps {
  loadSettings: () => Settings
  stdout: Output
  setExitCode(code: number): void
}

interface DoctorOptions {
  device?: string
  json?: boolean
}

const UNUSABLE = 1

export function doctorCommand(deps: DoctorDeps): Command {
  return new Command('doctor')
    .description('say what this machine can compute on, and what is missing for a device')
    .addOption(
      new Option(
        '--device <device>',
        'the device to look at; without it HEADRACE_DEVICE',
      ).argParser(readDevice),
    )
    .option('--json', 'print everything as JSON')
    .addHelpText(
      'after',
      '\nExits with 1 where the device can not be used.' +
        '\n\nExample:\n  headrace runtime doctor --device cuda',
    )
    .action(async (options: DoctorOptions) => {
      const { device: set, runtimeLibrary } = deps.loadSettings()
      const device = parseDevice(options.device ?? set)
      if (!device) throw new Error(`HEADRACE_DEVICE '${set}' was let through. This is a bug.`)
      // It loads native libraries, which a gateway's image does not have.
      const { examine } = await import('../runtime/doctor/doctor.ts')
      const findings = await examine(device, runtimeLibrary)
      deps.stdout.write(options.json ? `${json(findings)}\n` : describeFindings(findings))
      if (!findings.isUsable) deps.setExitCode(UNUSABLE)
    })
}

function readDevice(given: string): string {
  if (parseDevice(given)) return given
  throw new InvalidArgumentError('Allowed is cpu, cuda, cuda:N or webgpu.')
}

/** Facts, a line each, and then what is in the way and what to do. */
export function describeFindings(findings: Findings): string {
  const { device, isUsable, problems } = findings
  const facts = factsOf(findings)
  const width = Math.max(...facts.map(([name]) => name.length))
  const lines = facts.map(([name, value]) => `${name.padEnd(width)}  ${value}`)
  // One remedy may serve several of them.
  const remedies = Map.groupBy(problems, ({ remedy }) => remedy)
  const advice = [...remedies].flatMap(([remedy, group]) => [
    ...group.map(({ what }) => `- ${what}`),
    ...(remedy === null ? [] : [`  To do: ${remedy}.`]),
  ])
  const verdict = isUsable ? `${device} can be used.` : `${device} can't be used:`
  return `${[...lines, '', verdict, ...advice].join('\n')}\n`
}

function factsOf(findings: Findings): [name: string, value: string][] {
  const { processor, memory, gpus, gpuProblem, driverCuda, vulkan, onnxRuntime } = findings
  const { model, threads, flags, lacks } = processor
  const lacking = lacks.length > 0 ? `; no ${lacks.join(', ')}` : ''
  return [
    ['Processor', `${model}, ${threads} threads; ${flags.join(', ') || 'none'}${lacking}`],
    ['Memory', `${gibibytes(memory.totalBytes)}, ${gibibytes(memory.freeBytes)} free`],
    ...(gpuProblem === null ? [] : ([['GPUs', `none: ${gpuProblem}`]] as [string, string][])),
    ...gpus.map(
      ({ index, name, driver, totalBytes, freeBytes, computeCapability }): [string, string] => [
        `cuda:${index}`,
        `${name}, ${gibibytes(totalBytes)}, ${gibibytes(freeBytes)} free; ` +
          `compute capability ${computeCapability ?? 'unknown'}; ` +
          `driver ${driver}, CUDA up to ${driverCuda ?? 'unknown'}`,
      ],
    ),
    [
      'Vulkan',
      `${vulkan.loader ?? 'no loader'}; ${vulkan.renderNodes.join(', ') || 'no /dev/dri/renderD*'}`,
    ],
    [
      'ONNX Runtime',
      onnxRuntime ? `${onnxRuntime.version}, ${onnxRuntime.file}` : "can't be loaded",
    ],
    ['Providers', onnxRuntime?.providers.join(', ') ?? 'unknown'],
    ...findings.cudaLibraries.map(({ name, path }): [string, string] => [name, path ?? 'missing']),
  ]
}

function gibibytes(bytes: number): string {
  return `${(bytes / 2 ** 30).toFixed(1)} GiB`
}
