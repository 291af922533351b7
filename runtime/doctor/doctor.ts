// What a runtime on this machine could compute on, and what is missing for the device that is wished for.
//
// It looks at everything first and then does the real thing: a product of two small matrices on the wished device, by the
// library that engines would load. What is missing explains why that fails; it is what counts.
//
// Knows: the machine, libraries, providers. Does not know: models, a host that runs.

import { existsSync } from 'node:fs'
import { readdir } from 'node:fs/promises'
import path from 'node:path'

import { driverCuda, listGpus } from '../host/gpus.ts'
import type { Gpu } from '../host/gpus.ts'
import { readMachineMemory } from '../host/machine-memory.ts'
import { loadOrt } from '../ort/api.ts'
import type { Ort } from '../ort/api.ts'
import { formatDevice } from '../ort/device-choice.ts'
import type { DeviceChoice } from '../ort/device-choice.ts'
import { hasProvider } from '../ort/providers.ts'
import { tryLoad, whereLoaded } from '../ort/shared-library.ts'
import { examineCudaLibraries } from './cuda-libraries.ts'
import type { CudaLibrary } from './cuda-libraries.ts'
import { readProcessor } from './processor.ts'
import type { Processor } from './processor.ts'
import { tryDevice } from './trial.ts'

export interface Findings {
  /** the one that is wished for */
  device: string
  isUsable: boolean
  /** what is in its way */
  problems: Problem[]
  processor: Processor
  memory: { totalBytes: number; freeBytes: number }
  onnxRuntime: { file: string; version: string; providers: string[] } | null
  gpus: Gpu[]
  /** newest CUDA that the driver serves */
  driverCuda: string | null
  /** why there are no GPUs to tell of */
  gpuProblem: string | null
  cudaLibraries: CudaLibrary[]
  /** what Vulkan needs, and with it WebGPU */
  vulkan: { loader: string | null; renderNodes: string[] }
}

interface Problem {
  /** a sentence */
  what: string
  /** what to do about it, where that is known */
  remedy: string | null
}

const VULKAN_LOADER = 'libvulkan.so.1'
const DRI = '/dev/dri'

/** @param library file of the ONNX Runtime that engines load; null: the one of the npm package */
export async function examine(device: DeviceChoice, library: string | null): Promise<Findings> {
  const problems: Problem[] = []
  let ort: Ort | null = null
  try {
    ort = loadOrt(library ?? undefined)
  } catch (error) {
    problems.push({
      what: sentence(error),
      remedy: 'set ONNXRUNTIME_LIB to a libonnxruntime.so of 1.20 or newer, or to nothing',
    })
  }
  const [gpus, cuda] = await Promise.all([
    listGpus().then(
      (list) => ({ list, problem: null }),
      (error: unknown) => ({ list: [], problem: sentence(error) }),
    ),
    driverCuda().catch(() => null),
  ])
  const isCuda = device.kind === 'cuda'
  // Loading them takes a second and some hundred megabytes where they are there: for whoever wants to know.
  const wantsLibraries = ort && (isCuda || gpus.list.length > 0)
  const cudaLibraries = ort && wantsLibraries ? await examineCudaLibraries(ort.file) : []
  const findings = {
    device: formatDevice(device),
    processor: readProcessor(),
    memory: readMachineMemory(),
    onnxRuntime: ort && { file: ort.file, version: ort.version, providers: ort.providers() },
    gpus: gpus.list,
    driverCuda: cuda,
    gpuProblem: gpus.problem,
    cudaLibraries,
    vulkan: await examineVulkan(),
  }
  if (isCuda) problems.push(...cudaProblems(device.index, findings))
  if (device.kind === 'webgpu') problems.push(...webGpuProblems(ort, findings))
  if (ort && problems.length === 0) {
    const failure = await tryDevice(ort, device)
    if (failure !== null) problems.push({ what: failure, remedy: null })
  }
  return { ...findings, isUsable: problems.length === 0, problems }
}

type Seen = Omit<Findings, 'isUsable' | 'problems'>

function cudaProblems(index: number, { gpus, gpuProblem, cudaLibraries }: Seen): Problem[] {
  const problems: Problem[] = []
  if (gpuProblem !== null) {
    const remedy =
      "install NVIDIA's driver; in a container, reserve a GPU with `utility` among its capabilities"
    problems.push({ what: gpuProblem, remedy })
  } else if (!gpus.some((gpu) => gpu.index === index)) {
    const there = gpus.map((gpu) => `cuda:${gpu.index}`).join(', ') || 'none'
    problems.push({ what: `There is no cuda:${index}; the GPUs here are: ${there}.`, remedy: null })
  }
  for (const { problem, remedy, name } of cudaLibraries) {
    if (problem !== null) problems.push({ what: `${name} is missing: ${problem}.`, remedy })
  }
  return problems
}

function webGpuProblems(ort: Ort | null, { vulkan }: Seen): Problem[] {
  const problems: Problem[] = []
  if (ort && !hasProvider(ort, 'webgpu')) {
    const what = `${ort.file} was built without the WebGPU provider.`
    problems.push({ what, remedy: "unset ONNXRUNTIME_LIB: the npm package's library has it" })
  }
  if (vulkan.loader === null) {
    const remedy = "install the Vulkan loader (Debian's libvulkan1) and the driver of the GPU"
    problems.push({ what: `${VULKAN_LOADER} is missing.`, remedy })
  }
  return problems
}

async function examineVulkan(): Promise<Findings['vulkan']> {
  const loader = tryLoad(VULKAN_LOADER) === null ? whereLoaded(VULKAN_LOADER) : null
  const names = existsSync(DRI) ? await readdir(DRI).catch(() => []) : []
  const renderNodes = names.filter((name) => name.startsWith('render'))
  return { loader, renderNodes: renderNodes.map((name) => path.join(DRI, name)) }
}

function sentence(error: unknown): string {
  const text = error instanceof Error ? error.message : String(error)
  return /[.!?]$/.test(text) ? text : `${text}.`
}
