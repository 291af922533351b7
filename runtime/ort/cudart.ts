// The few calls of the CUDA runtime library that ONNX Runtime's C API has nothing for: memory of a GPU that is ours, and
// copies within it that skip what lies between their rows.
//
// It is the same library that ONNX Runtime's CUDA provider is linked to, so that both see the same context; which of them
// a build wants is in its name.
//
// Knows: the library's ABI. Does not know: ONNX Runtime.

import koffi from 'koffi'
import type { LibraryHandle } from 'koffi'

import type { NativeFunction, Pointer } from './api.ts'
import { OutOfMemory } from './memory.ts'

/** What ONNX Runtime's own builds are linked to comes first; one of each would share the GPU's context all the same. */
export const CUDART_LIBRARIES = ['libcudart.so.12', 'libcudart.so.13']

const OUT_OF_MEMORY = 2
const DEVICE_TO_DEVICE = 3

const FUNCTIONS = {
  cudaSetDevice: 'int cudaSetDevice(int)',
  cudaGetErrorString: 'str cudaGetErrorString(int)',
  cudaMalloc: 'int cudaMalloc(_Out_ void**, size_t)',
  cudaFree: 'int cudaFree(void*)',
  cudaMemset: 'int cudaMemset(void*, int, size_t)',
  cudaMemcpy2D: 'int cudaMemcpy2D(void*, size_t, void*, size_t, size_t, size_t, int)',
  cudaDeviceSynchronize: 'int cudaDeviceSynchronize()',
  cudaMemGetInfo: 'int cudaMemGetInfo(_Out_ size_t*, _Out_ size_t*)',
}

type FunctionName = keyof typeof FUNCTIONS

/** What the library answered; the message is its own. */
class CudaError extends Error {
  override name = 'CudaError'
}

export class Cudart {
  // Referenced for ever: a collected library object unloads the library under the running call.
  readonly #library: LibraryHandle
  readonly #functions: Record<FunctionName, NativeFunction>

  /** @throws CudaError where the library, or the GPU, is not there */
  constructor(index: number, file: string) {
    this.#library = koffi.load(file)
    this.#functions = Object.fromEntries(
      Object.entries(FUNCTIONS).map(([name, prototype]) => [name, this.#library.func(prototype)]),
    ) as Record<FunctionName, NativeFunction>
    this.#call('cudaSetDevice', index)
  }

  /** Memory of zeros: a kernel may multiply what is behind a sequence's end by nought, and nought times NaN is NaN. */
  allocate(bytes: number): Pointer {
    const out: (Pointer | null)[] = [null]
    this.#call('cudaMalloc', out, bytes)
    const address = out[0]
    if (!address) throw new CudaError('cudaMalloc gave nothing. This is a bug.')
    this.#call('cudaMemset', address, 0, bytes)
    return address
  }

  free(address: Pointer): void {
    this.#call('cudaFree', address)
  }

  /** `rows` stretches of `rowBytes`, each `strideBytes` behind the one before it. */
  copyRows(from: Pointer, to: Pointer, rows: number, rowBytes: number, strideBytes: number): void {
    const pitch = strideBytes
    this.#call('cudaMemcpy2D', to, pitch, from, pitch, rowBytes, rows, DEVICE_TO_DEVICE)
  }

  /** Copies within a GPU return before they are done, and ONNX Runtime's stream doesn't wait for them. */
  synchronise(): void {
    this.#call('cudaDeviceSynchronize')
  }

  freeBytes(): number {
    const [free, total] = [[0], [0]]
    this.#call('cudaMemGetInfo', free, total)
    return Number(free[0])
  }

  #call(name: FunctionName, ...args: unknown[]): void {
    const code = this.#functions[name](...args) as number
    if (code === 0) return
    const message = `${name}: ${this.#functions.cudaGetErrorString(code) as string}`
    throw code === OUT_OF_MEMORY ? new OutOfMemory(message) : new CudaError(message)
  }
}
