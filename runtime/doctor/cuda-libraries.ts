// The libraries that ONNX Runtime's CUDA provider is linked to, tried one by one: a loader that fails names the first that
// it misses, and an operator wants all of them.
//
// Which they are is read from the provider's own file, since CUDA's next major release renames them.
//
// Knows: names of libraries, and which package has which. Does not know: GPUs.

import { existsSync } from 'node:fs'
import path from 'node:path'

import { neededLibraries, tryLoad, whereLoaded } from '../ort/shared-library.ts'

export interface CudaLibrary {
  name: string
  /** where it was found; null where it is missing */
  path: string | null
  /** what the loader said */
  problem: string | null
  /** how to get it, where it is missing */
  remedy: string | null
}

const PROVIDER_FILE = 'libonnxruntime_providers_cuda.so'
const SHARED_FILE = 'libonnxruntime_providers_shared.so'

// Where there is no provider to be asked: what ONNX Runtime's own builds want since 1.19.
const USUAL = [
  'libcuda.so.1',
  'libcudart.so.12',
  'libcublas.so.12',
  'libcublasLt.so.12',
  'libcufft.so.11',
  'libcurand.so.10',
  'libcudnn.so.9',
]
const DRIVER = 'libcuda.so.1'

/** @param library file of the ONNX Runtime that would be used */
export async function examineCudaLibraries(library: string): Promise<CudaLibrary[]> {
  const folder = path.dirname(library)
  const provider = path.join(folder, PROVIDER_FILE)
  const beside = [SHARED_FILE, PROVIDER_FILE].map((name) => fileBeside(folder, name))
  const linked = existsSync(provider) ? await neededLibraries(provider) : USUAL
  const ofCuda = linked.filter((name) => /^libcu|^libnv/.test(name))
  const names = [...new Set([DRIVER, ...ofCuda])]
  return [...beside, ...names.map(byName)]
}

function fileBeside(folder: string, name: string): CudaLibrary {
  const file = path.join(folder, name)
  if (existsSync(file)) return { name, path: file, problem: null, remedy: null }
  const problem = `there is no ${name} in ${folder}`
  const remedy =
    'get the GPU build of the same release of ONNX Runtime (onnxruntime-linux-x64-gpu) and set ONNXRUNTIME_LIB to its libonnxruntime.so.1'
  return { name, path: null, problem, remedy }
}

function byName(name: string): CudaLibrary {
  const problem = tryLoad(name)
  if (problem === null) return { name, path: whereLoaded(name) ?? name, problem, remedy: null }
  return { name, path: null, problem, remedy: remedyFor(name) }
}

function remedyFor(name: string): string {
  if (name === DRIVER) {
    return "install NVIDIA's driver; in a container, the NVIDIA Container Toolkit and a GPU reservation put it there"
  }
  const cudnn = /^libcudnn\D*\.so\.(\d+)/.exec(name)
  const what = cudnn ? `cuDNN ${cudnn[1]}` : "CUDA's runtime libraries of these numbers"
  return `install ${what}, and name the folder in LD_LIBRARY_PATH where it is not one of the system's`
}
